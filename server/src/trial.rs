//! What a configuration comes to, tried without a database: whatever the start would refuse is refused here, and what
//! would fail later is said.

use config::{Config, ConfigError, MailSecurity, Origin};
use kernel::{Ambient, Line};
use tenancy::OnboardingPolicy;

use crate::{connections, mail, settings, signup, sinks::Sinks, telemetry::Telemetry};

/// Puts together, once, everything that needs no database.
pub(crate) fn put_together(config: &Config) -> anyhow::Result<()> {
    config.try_secrets()?;
    Sinks::of(config)?;
    Telemetry::of(config)?;
    mail::server(config)?;
    signup::links_lead_here(config)?;
    signup::verifier(config)?;
    settings::tenancy(config, &Line::default(), OnboardingPolicy::closed())?;
    connections::of(config, &Ambient::system())?;
    settings::identity(config).password.check().map_err(|error| ConfigError::Refused {
        origin: Origin::Key("identity.password".to_owned()),
        message: error.to_string(),
    })?;
    Ok(())
}

/// What starts, and does not do what somebody may expect: each by its key.
pub(crate) fn cautions(config: &Config) -> Vec<String> {
    let (server, signup) = (&config.server, &config.tenant.signup);
    let production = config.deployment.shape.is_production();
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let in_the_clear = server
        .public_url
        .as_ref()
        .is_some_and(|url| url.scheme() == "http" && !url.host_str().is_some_and(is_local));
    let behind_proxy =
        server.tls.is_none() && server.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let unprotected_mail = config
        .mail
        .as_ref()
        .is_some_and(|mail| mail.smtp.security == MailSecurity::None && !is_local(&mail.smtp.host));
    [
        (
            server.public_url.is_none() && production,
            "`server.public-url` is not stated: a license that is bound to base domains is refused, and links have no address",
        ),
        (
            server.public_url.is_none() && config.mail.is_some(),
            "`mail` is configured without `server.public-url`: mails cannot say where their links lead",
        ),
        (
            in_the_clear,
            "`server.public-url` begins with `http:`: browsers keep the session of the console over TLS only, so nobody can \
             sign in there",
        ),
        (
            behind_proxy && server.trusted_proxies.is_empty(),
            "`server.trusted-proxies` is empty and TLS does not end here: whoever comes through a proxy is taken for the \
             proxy, and all of them are throttled together",
        ),
        (
            signup.is_offered() && signup.challenge.is_none(),
            "`tenant.signup` is enabled without `tenant.signup.challenge`: every signup is rejected",
        ),
        (
            signup.is_offered() && config.mail.is_none(),
            "`tenant.signup` is enabled without `mail`: nobody is sent the link that confirms a signup",
        ),
        (unprotected_mail, "`mail.smtp.security` is `none` and the server is another machine: links travel in the clear"),
        (
            config.license.trust.root_ca_bundle_path.is_none(),
            "`license.trust.root-ca-bundle-path` is not stated: every license is refused",
        ),
        (
            config.license.recipient.is_none(),
            "`license.recipient` is not stated: no sealed license opens, second factors and the texts of mails are kept \
             unencrypted, and the audit log is not sealed",
        ),
        (
            production && !config.license.command_enforcement.enabled,
            "`license.command-enforcement.enabled` is false: no command is enforced",
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, caution)| caution.to_owned())
    .collect()
}
