//! The configuration: one TOML file and the environment, one struct per section.
//!
//! ```
//! # use chancery_config as config;
//! use config::{Config, LogFormat};
//!
//! # fn main() -> Result<(), config::ConfigError> {
//! let environment = [
//!     ("CHANCERY_DATABASE__URL", "sqlite:///var/lib/chancery/chancery.db"),
//!     ("CHANCERY_DEPLOYMENT__ID", "site-1"),
//!     ("CHANCERY_LOG__FORMAT", "json"),
//! ]
//! .map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let config = Config::load(None, environment)?;
//! assert_eq!(config.log.format, LogFormat::Json);
//! # Ok(())
//! # }
//! ```
//!
//! | where | how a key is spelled |
//! |---|---|
//! | the file | `license.trust.root-ca-bundle-path`, under `[license.trust]` |
//! | the environment | `CHANCERY_LICENSE__TRUST__ROOT_CA_BUNDLE_PATH`: `.` is `__`, `-` is `_`; lists are separated by commas |
//! | a secret | by a reference: `file:/run/secrets/smtp`, `env:SMTP_PASSWORD`, `k8s:smtp/password` |
//! | a secret in the environment | `CHANCERY_MAIL__SMTP__PASSWORD`: a reference, or the secret, for the environment is a place for secrets |
//! | a secret's own file | `CHANCERY_MAIL__SMTP__PASSWORD_FILE`: the path, as in `file:` |
//!
//! The environment wins over the file. A relative path in the file is relative to the file's folder; one in the
//! environment, and the file inside a `sqlite:` URL, to the working folder.
//!
//! **Invariant: a key that is not known refuses to load**, naming the key and the line or variable it stands in; so does
//! a value of another type, and a secret that is written into the file. No error repeats the value of a secret.

mod address;
mod audit;
mod catalog;
mod error;
mod identity;
mod keys;
mod load;
mod mail;
mod quota;
mod secrets;
mod section;
mod signup;
mod telemetry;
mod tenant;
mod tls;

pub use address::Address;
pub use audit::{Audit, JsonLinesSink, OtlpSink, SyslogSink, WebhookSink, WhenFull};
pub use catalog::CatalogFiles;
pub use error::{ConfigError, Origin};
pub use identity::{Identity, Password, Session, Throttle};
pub use mail::{Mail, MailSecurity, MailServer};
pub use quota::{Quota, WindowAnchor};
pub use secrets::{Lacking, Secrets};
pub use section::{
    CommandEnforcement, Config, Database, DenialStatus, Deployment, Development, Http, License, Log,
    LogFormat, Recipient, Runtime, Server, Trust,
};
pub use signup::{Challenge, Signup, SignupPolicy};
pub use telemetry::{Otlp, Telemetry};
pub use tenant::{Dns, Resolution, Tenant};
pub use tls::Tls;
