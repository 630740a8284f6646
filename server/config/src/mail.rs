//! `[mail]`: how mail leaves.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrets::SecretRef;
use serde::Deserialize;

/// `[mail]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mail {
    /// The sender of every mail: `address` or `Name <address>`.
    pub from: String,
    /// The server that takes them.
    pub smtp: MailServer,
}

/// `[mail.smtp]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MailServer {
    /// Its name, which its certificate must hold.
    pub host: String,
    /// Its port. When not stated: 587 with `starttls`, 465 with `tls`, 25 with `none`.
    pub port: Option<u16>,
    /// What protects the way to it. With `starttls` and `tls` mail is sent protected or not at all.
    #[serde(default = "starttls")]
    pub security: MailSecurity,
    /// The account to send from, where the server asks for one.
    pub username: Option<String>,
    /// Where its password is. It is read for each mail, and not sent over a way that nothing protects.
    #[schemars(extend("writeOnly" = true))]
    pub password: Option<SecretRef>,
    /// Authorities that the server's certificate may lead to, beside the system's, in PEM.
    #[schemars(extend("format" = "path"))]
    pub ca_bundle_path: Option<PathBuf>,
    /// How long the server may take for each step.
    #[serde(default = "half_a_minute")]
    pub timeout_seconds: NonZeroU32,
}

/// `mail.smtp.security`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// TLS is asked for in the clear, and insisted on.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: for a server on the same machine.
    None,
}

impl MailServer {
    /// How long the server may take for each step.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.get().into())
    }
}

const fn starttls() -> MailSecurity {
    MailSecurity::Starttls
}

const fn half_a_minute() -> NonZeroU32 {
    const { NonZeroU32::new(30).unwrap() }
}
