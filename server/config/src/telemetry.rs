//! `[telemetry]`: what leaves the machine, and where to. Nothing does unless it is stated here.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use secrets::SecretRef;
use serde::Deserialize;
use url::Url;

use crate::address;

/// `[telemetry]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Telemetry {
    /// A collector of OpenTelemetry.
    pub otlp: Option<Otlp>,
}

/// `[telemetry.otlp]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Otlp {
    /// The collector's address, such as `http://localhost:4318`; `/v1/traces`, `/v1/metrics` and `/v1/logs` are added.
    #[serde(deserialize_with = "address::open")]
    #[schemars(with = "String")]
    pub endpoint: Url,
    /// Where that is which is sent as the header `authorization`. It is read each time.
    #[schemars(extend("writeOnly" = true))]
    pub authorization: Option<SecretRef>,
    /// Whether a span of each command is sent.
    #[serde(default = "yes")]
    pub traces: bool,
    /// Whether what `/metrics` shows is sent.
    #[serde(default = "yes")]
    pub metrics: bool,
    /// Whether what is logged is sent.
    #[serde(default = "yes")]
    pub logs: bool,
    /// How often, in seconds.
    #[serde(default = "interval")]
    pub interval_seconds: NonZeroU32,
}

const fn yes() -> bool {
    true
}

const fn interval() -> NonZeroU32 {
    const { NonZeroU32::new(10).unwrap() }
}
