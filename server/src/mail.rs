//! Mail, put together from the configuration.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use anyhow::Context;
use config::{Config, ConfigError, MailSecurity, MailServer, Origin};
use mail::{Backlog, Outbox, Security, Smtp, SmtpSettings};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use sdk::mail::Post;
use secrets::Keeping;
use store::Store;

/// The outbox, with the server that the configuration names.
pub(crate) fn outbox(config: &Config, store: Store, keeping: Keeping) -> anyhow::Result<Outbox> {
    Ok(Outbox::new(store, server(config)?, keeping))
}

/// The way to people, where there is a server to send by and an address for them to come to.
pub(crate) fn post(config: &Config, outbox: &Outbox) -> Option<Post> {
    let public_url = config.server.public_url.clone().filter(|_| outbox.is_configured())?;
    Some(Post::new(Arc::new(outbox.clone()), public_url))
}

/// The server that the configuration names.
pub(crate) fn server(config: &Config) -> anyhow::Result<Option<Smtp>> {
    config.mail.as_ref().map(|mail| smtp(config, &mail.from, &mail.smtp)).transpose()
}

fn smtp(config: &Config, from: &str, server: &MailServer) -> anyhow::Result<Smtp> {
    let account = match (&server.username, &server.password) {
        (Some(username), Some(password)) => Some((username.clone(), config.secret(password))),
        (None, None) => None,
        (Some(_), None) => return Err(refused("mail.smtp.password", "an account needs one").into()),
        (None, Some(_)) => return Err(refused("mail.smtp.username", "a password needs one").into()),
    };
    let read =
        |path: &PathBuf| fs::read(path).with_context(|| format!("failed to read `{}`", path.display()));
    let settings = SmtpSettings {
        host: server.host.clone(),
        port: server.port,
        security: match server.security {
            MailSecurity::Starttls => Security::StartTls,
            MailSecurity::Tls => Security::Tls,
            MailSecurity::None => Security::None,
        },
        account,
        ca: server.ca_bundle_path.as_ref().map(read).transpose()?,
        from: from.to_owned(),
        patience: server.timeout(),
    };
    Smtp::new(settings).map_err(|error| {
        let error = anyhow::Error::from(error);
        refused("mail", &format!("{error:#}")).into()
    })
}

pub(crate) fn refused(key: &str, message: &str) -> ConfigError {
    ConfigError::Refused { origin: Origin::Key(key.to_owned()), message: message.to_owned() }
}

/// How full the outbox was when it was last counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<std::sync::Mutex<Backlog>>);

impl Gauge {
    /// Counts.
    pub(crate) async fn read(&self, outbox: &Outbox) {
        match outbox.backlog().await {
            Ok(backlog) => *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = backlog,
            Err(error) => tracing::warn!(%error, "failed to count the outbox"),
        }
    }
}

impl Collector for Gauge {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let backlog = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let help = "Mails in the outbox, by what became of them; settled ones of the last days";
        let mut family = encoder.encode_descriptor("mail_outbox", help, None, MetricType::Gauge)?;
        for (state, mails) in [("pending", backlog.pending), ("sent", backlog.sent), ("dead", backlog.dead)] {
            ConstGauge::new(mails).encode(family.encode_family(&[("state", state)])?)?;
        }
        Ok(())
    }
}
