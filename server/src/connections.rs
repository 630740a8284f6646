//! How connections come in, by configuration.

use std::{sync::Arc, time::Duration};

use config::{Config, ConfigError, Origin};
use http_api::{Connections, Tls};
use kernel::Ambient;

/// How often the files of TLS are looked after.
const RENEW: Duration = Duration::from_secs(1);

/// As configured. TLS that cannot be served with what is configured is a mistake in the configuration.
pub(crate) fn of(config: &Config, ambient: &Ambient) -> Result<Connections, ConfigError> {
    let server = &config.server;
    let tls = server.tls.as_ref().map(|files| Tls::open(&files.certificate_path, &files.private_key_path));
    let tls = tls.transpose().map_err(|error| ConfigError::Refused {
        origin: Origin::Key("server.tls".to_owned()),
        message: format!("{:#}", anyhow::Error::from(error)),
    })?;
    Ok(Connections {
        most: server.max_connections.get(),
        idle: server.idle_timeout(),
        patience: server.patience(),
        tls: tls.map(Arc::new),
        ambient: ambient.clone(),
    })
}

/// A certificate that is renewed.
pub(crate) async fn look_after_tls(tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else { return };
    loop {
        tokio::time::sleep(RENEW).await;
        match tls.renew() {
            Ok(false) => {}
            Ok(true) => tracing::info!("connections from now on get the renewed certificate"),
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(
                    error,
                    "the certificate stays as it was: what its files hold cannot be served"
                );
            }
        }
    }
}
