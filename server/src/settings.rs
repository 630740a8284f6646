//! The configuration in the words of the modules.

use std::sync::Arc;

use config::{Config, ConfigError, Origin, WhenFull};
use descriptors::grant::LicenseStatus;
use identity::{Allowance, Identity, PasswordSettings, SessionSettings, Settings, ThrottleSettings};
use kernel::{Line, TenantId};
use license::RunningLicense;
use mail::Outbox;
use sdk::prelude::BoxFuture;
use setup::{DeliveryState, Facts};
use signup::Decided;
use store::StoreError;
use tenancy::{Dns, OnboardingPolicy};
use uuid::Uuid;

/// How many audit events may wait, and what becomes of more.
pub(crate) fn recording(config: &Config) -> audit::Limits {
    let overflow = match config.audit.when_full {
        WhenFull::Drop => audit::Overflow::Drop,
        WhenFull::Block => audit::Overflow::Block,
    };
    audit::Limits { overflow, backlog: config.audit.backlog as usize, ..audit::Limits::default() }
}

/// Where tenants are found, and who proves their domains, by configuration.
pub(crate) fn tenancy(
    config: &Config,
    line: &Line,
    policy: OnboardingPolicy,
) -> Result<tenancy::Settings, ConfigError> {
    let config::Tenant { platform_domain, resolution, dns, signup: _ } = &config.tenant;
    let own = config.server.public_url.as_ref().and_then(|url| url.host_str());
    Ok(tenancy::Settings {
        platform_domain: parsed("tenant.platform-domain", platform_domain.as_deref())?,
        custom_domains: resolution.custom_domains,
        self_tenant: parsed("tenant.resolution.self-tenant", resolution.self_tenant.as_deref())?,
        own_hosts: own.map(str::to_owned).into_iter().collect(),
        txt: Arc::new(Dns::asking(dns.servers.clone())),
        policy,
        line: line.clone(),
        steps: Vec::new(),
    })
}

/// A value of the configuration in its own type.
fn parsed<T>(key: &str, text: Option<&str>) -> Result<Option<T>, ConfigError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let parsed = text.map(str::parse::<T>).transpose();
    parsed.map_err(|error| ConfigError::Refused {
        origin: Origin::Key(key.to_owned()),
        message: error.to_string(),
    })
}

/// What operators have decided, as the signup asks for it.
pub(crate) fn decided(policy: OnboardingPolicy) -> Arc<dyn Fn() -> Decided + Send + Sync> {
    Arc::new(move || {
        let toggles = policy.current();
        Decided {
            self_signup: toggles.self_signup_enabled,
            subtenant_signup: toggles.subtenant_signup_enabled,
            require_approval: toggles.require_approval_for_self_signup,
        }
    })
}

/// Whether administrators invite by e-mail, as the operators have decided.
pub(crate) fn invites(policy: OnboardingPolicy) -> Arc<dyn Fn() -> bool + Send + Sync> {
    Arc::new(move || policy.current().admin_invite_enabled)
}

/// What setup looks at.
pub(crate) struct Site {
    pub(crate) identity: Identity,
    pub(crate) license: RunningLicense,
    pub(crate) outbox: Outbox,
}

impl setup::Site for Site {
    fn is_administered(&self) -> BoxFuture<'_, Result<bool, identity::IdentityError>> {
        Box::pin(self.identity.is_administered())
    }

    fn is_licensed(&self) -> bool {
        matches!(
            self.license.snapshot().status(),
            LicenseStatus::Active | LicenseStatus::Grace | LicenseStatus::Recovery
        )
    }

    fn delivery(&self, mail: Uuid) -> BoxFuture<'_, Result<DeliveryState, StoreError>> {
        Box::pin(async move {
            Ok(match self.outbox.state(mail).await? {
                Some(mail::State::Pending) => DeliveryState::Queued,
                Some(mail::State::Dead) => DeliveryState::DeliveryFailed,
                // Settled mails are forgotten after some days; this one was not refused until then.
                Some(mail::State::Sent) | None => DeliveryState::Delivered,
            })
        })
    }
}

/// What setup tells of the configuration.
pub(crate) fn setup(config: &Config, application: TenantId, outbox: &Outbox) -> Facts {
    let needed = [
        ("server.public-url", config.server.public_url.is_some()),
        ("license.recipient", config.license.recipient.is_some()),
        ("license.trust.root-ca-bundle-path", config.license.trust.root_ca_bundle_path.is_some()),
    ];
    let missing = needed.into_iter().filter(|(_, set)| !set).map(|(key, _)| key.to_owned());
    Facts {
        application,
        public_url: config.server.public_url.clone(),
        missing_keys: missing.collect(),
        email_configured: outbox.is_configured(),
    }
}

/// How operators sign in.
pub(crate) fn identity(config: &Config) -> Settings {
    let config::Identity { require_second_factor, action_lifetime, password, session, throttle } =
        &config.identity;
    let host = config.server.public_url.as_ref().and_then(url::Url::host_str);
    Settings {
        password: PasswordSettings {
            memory_kib: password.memory_kib.get(),
            iterations: password.iterations.get(),
            parallelism: password.parallelism.get(),
            threads: password.threads.get() as usize,
            queue: password.queue as usize,
        },
        session: SessionSettings { idle: session.idle, absolute: session.absolute },
        throttle: ThrottleSettings {
            account: Allowance { burst: throttle.account_burst.get(), period: throttle.account_period },
            address: Allowance { burst: throttle.address_burst.get(), period: throttle.address_period },
        },
        action_lifetime: *action_lifetime,
        require_second_factor: *require_second_factor,
        issuer: format!("Chancery {}", host.unwrap_or(&config.deployment.id)),
    }
}
