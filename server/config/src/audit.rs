//! `[audit]`: how long events are kept, and where they go beside the database.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
};

use schemars::JsonSchema;
use secrets::SecretRef;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

use crate::{Address, address};

/// `[audit]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Audit {
    /// How many days events are kept in the database. Not stated, they are kept for good.
    pub retention_days: Option<NonZeroU32>,
    /// How many events may wait for a database that fails; at least 1000.
    #[serde(deserialize_with = "some_thousand")]
    #[schemars(range(min = 1000))]
    pub backlog: u32,
    /// What becomes of further events when so many wait.
    pub when_full: WhenFull,
    /// Files of one JSON object per line, by a name of your own: `[audit.json-lines.archive]`.
    pub json_lines: BTreeMap<String, JsonLinesSink>,
    /// Addresses that are sent each event, signed as Standard Webhooks has it: `[audit.webhook.siem]`.
    pub webhook: BTreeMap<String, WebhookSink>,
    /// Receivers of syslog over TLS: `[audit.syslog.siem]`.
    pub syslog: BTreeMap<String, SyslogSink>,
    /// Collectors of OpenTelemetry logs: `[audit.otlp.siem]`.
    pub otlp: BTreeMap<String, OtlpSink>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            retention_days: None,
            backlog: 100_000,
            when_full: WhenFull::default(),
            json_lines: BTreeMap::new(),
            webhook: BTreeMap::new(),
            syslog: BTreeMap::new(),
            otlp: BTreeMap::new(),
        }
    }
}

/// `audit.when-full`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// They are dropped and counted; no caller waits.
    #[default]
    Drop,
    /// Callers wait, as long as their requests may take. Only events of requests that were given up are dropped and counted.
    Block,
}

/// `[audit.json-lines.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JsonLinesSink {
    /// The file.
    #[schemars(extend("format" = "path"))]
    pub path: PathBuf,
    /// A file of at least so many bytes is set aside.
    #[serde(default = "size")]
    pub size: NonZeroU64,
    /// How many files that were set aside are kept.
    #[serde(default = "kept")]
    pub kept: u32,
}

/// `[audit.webhook.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WebhookSink {
    /// The address. One that holds a secret is named by a reference.
    pub url: Address,
    /// Where that is which events are signed with: `whsec_` and the base64 of 24 to 64 bytes. It is read for each delivery.
    #[schemars(extend("writeOnly" = true))]
    pub secret: SecretRef,
}

/// `[audit.syslog.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SyslogSink {
    /// `host:port`; the port of syslog over TLS is 6514.
    pub address: String,
    /// The authority that signed the receiver's certificate, in PEM. Not stated, those the operating system knows.
    #[schemars(extend("format" = "path"))]
    pub ca_path: Option<PathBuf>,
    /// Our certificate, in PEM, where the receiver asks for one.
    #[schemars(extend("format" = "path"))]
    pub certificate_path: Option<PathBuf>,
    /// Its key, in PEM (PKCS #8).
    #[schemars(extend("format" = "path"))]
    pub key_path: Option<PathBuf>,
}

/// `[audit.otlp.NAME]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OtlpSink {
    /// The collector's address; `/v1/logs` is added to it.
    #[serde(deserialize_with = "address::open")]
    #[schemars(with = "String")]
    pub endpoint: Url,
    /// Where that is which is sent as the header `authorization`. It is read each time.
    #[schemars(extend("writeOnly" = true))]
    pub authorization: Option<SecretRef>,
}

/// With fewer, some would be dropped by a database that is only busy.
fn some_thousand<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    let stated = u32::deserialize(value)?;
    if stated >= 1000 { Ok(stated) } else { Err(D::Error::custom("expected at least 1000")) }
}

fn size() -> NonZeroU64 {
    const { NonZeroU64::new(100 * 1024 * 1024).unwrap() }
}

const fn kept() -> u32 {
    10
}
