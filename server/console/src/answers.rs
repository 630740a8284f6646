//! What the console reads of the answers of commands. What it does not show is not here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::html::{Said, When, grouped, sentence};

/// Which colour and shape a state has: `good`, `warn`, `bad`, or `calm`.
pub(crate) type Tone = &'static str;

/// `platform.license.status`, and the license of a preview.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct License {
    pub(crate) status: String,
    pub(crate) source: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) license_id: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) customer_id: Option<String>,
    pub(crate) installation_id: Option<String>,
    pub(crate) product_summaries: Vec<Product>,
    pub(crate) expires_at: Option<When>,
    pub(crate) days_to_expiry: Option<i64>,
    pub(crate) grace_until: Option<When>,
    pub(crate) recovery_until: Option<When>,
    pub(crate) signing_certificate_fingerprint: Option<String>,
    pub(crate) development: bool,
    pub(crate) warnings: Vec<Warning>,
}

impl License {
    pub(crate) fn tone(&self) -> Tone {
        match self.status.as_str() {
            "ACTIVE" => "good",
            "GRACE" | "RECOVERY" | "UNENFORCED" => "warn",
            _ => "bad",
        }
    }

    /// What the status means, in a sentence.
    pub(crate) fn meaning(&self) -> &'static str {
        match self.status.as_str() {
            "ACTIVE" => "The license is in force.",
            "GRACE" => "The license is past its end and still counts, until its grace ends.",
            "RECOVERY" => "The license cannot be read; the last good one stands in for a while.",
            "MISSING" => "There is no license. Licensed commands are refused.",
            "EXPIRED" => "The license has expired. Licensed commands are refused.",
            "INVALID" => "The license was refused. Licensed commands are refused.",
            "BLOCKED" => "The clock went back, so the license does not count until time catches up.",
            "REVOKED" => "The license was revoked. Licensed commands are refused.",
            "UNENFORCED" => "This process runs without a license service. Nothing is enforced.",
            _ => "",
        }
    }

    /// Where it came from, in words.
    pub(crate) fn origin(&self) -> &'static str {
        match self.source.as_deref() {
            Some("installed") => "installed here or through the API",
            Some("path") => "the file that license.path names",
            Some("token") => "the token of the configuration",
            Some("development") => "the development license of the configuration",
            Some(_) => "another source",
            None => "nowhere",
        }
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.source.as_deref() == Some("installed")
    }

    /// The fingerprint in groups that can be read over the phone.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        let hex = self.signing_certificate_fingerprint.as_deref()?;
        let groups = hex.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group));
        Some(groups.collect::<Vec<_>>().join(" "))
    }
}

#[derive(Deserialize)]
pub(crate) struct Product {
    pub(crate) product: String,
    pub(crate) edition: String,
    pub(crate) modules: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Warning {
    pub(crate) days_left: Option<i64>,
    until: Option<When>,
    message: String,
}

impl Warning {
    /// With its instant as people read it.
    pub(crate) fn text(&self) -> String {
        let text = match self.until {
            None => self.message.clone(),
            Some(until) => self.message.replace(&until.0.to_string(), &until.to_string()),
        };
        sentence(&text)
    }
}

/// A quota of the platform or of a tenant, with what is used of it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quota {
    pub(crate) quota_key: String,
    #[serde(default)]
    pub(crate) scope: String,
    /// Absent without a license service.
    pub(crate) limit: Option<u64>,
    /// Absent where nothing counts it.
    pub(crate) used: Option<u64>,
    pub(crate) reserved: Option<u64>,
    pub(crate) window: Option<String>,
    pub(crate) window_end: Option<When>,
    pub(crate) at_cap: bool,
    pub(crate) runs_out_at: Option<When>,
}

impl Quota {
    /// What is taken of the limit, from 0 to 1: used, or used and reserved.
    pub(crate) fn share(&self, reserved: bool) -> f64 {
        let taken = self.used.unwrap_or(0) + if reserved { self.reserved.unwrap_or(0) } else { 0 };
        match self.limit {
            Some(0) if taken > 0 => 1.0,
            None | Some(0) => 0.0,
            #[expect(clippy::cast_precision_loss, reason = "a picture needs no more than 52 bits")]
            Some(limit) => (taken as f64 / limit as f64).min(1.0),
        }
    }

    pub(crate) fn tone(&self) -> Tone {
        match self.share(true) {
            _ if self.limit == Some(0) => "calm",
            _ if self.at_cap => "bad",
            share if share >= 0.8 => "warn",
            _ => "good",
        }
    }

    /// Whether nothing more is admitted of something that there may be.
    pub(crate) fn is_full(&self) -> bool {
        self.at_cap && self.limit != Some(0)
    }

    pub(crate) fn used_text(&self) -> String {
        self.used.map_or_else(|| "not counted".to_owned(), grouped)
    }

    pub(crate) fn limit_text(&self) -> String {
        self.limit.map_or_else(|| "no limit".to_owned(), grouped)
    }

    pub(crate) fn window_text(&self) -> Option<String> {
        self.window.as_deref().map(|window| match window {
            "P1D" => "a day".to_owned(),
            "P1W" | "P7D" => "a week".to_owned(),
            "P1M" => "a month".to_owned(),
            "P1Y" => "a year".to_owned(),
            "PT1H" => "an hour".to_owned(),
            other => format!("per {other}"),
        })
    }
}

/// `platform.coverage.report`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Coverage {
    pub(crate) missing_descriptor_mode: String,
    pub(crate) commands: Vec<Covered>,
    pub(crate) findings: Vec<Finding>,
    #[serde(default)]
    pub(crate) would_be_denied: Option<WouldBeDenied>,
}

impl Coverage {
    pub(crate) fn count(&self, verdict: &str) -> usize {
        self.commands.iter().filter(|command| command.verdict == verdict).count()
    }
}

#[derive(Deserialize)]
pub(crate) struct Covered {
    pub(crate) id: String,
    pub(crate) module: String,
    pub(crate) key: Option<String>,
    pub(crate) mode: Option<String>,
    #[serde(default)]
    pub(crate) features: Vec<String>,
    pub(crate) cost: Option<u64>,
    #[serde(default)]
    pub(crate) quotas: Vec<String>,
    #[serde(default)]
    pub(crate) predicates: Vec<String>,
    pub(crate) verdict: String,
    pub(crate) reason: Option<String>,
    pub(crate) kind: Option<String>,
}

impl Covered {
    pub(crate) fn tone(&self) -> Tone {
        match self.verdict.as_str() {
            "covered" => "good",
            "allowlisted" => "calm",
            "gap" => "warn",
            _ => "bad",
        }
    }

    /// The protection mode in lower case.
    pub(crate) fn mode_text(&self) -> String {
        self.mode
            .as_deref()
            .map_or_else(|| "not described".to_owned(), |mode| mode.to_lowercase().replace('_', " "))
    }
}

#[derive(Deserialize)]
pub(crate) struct Finding {
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn said(&self) -> Said<'_> {
        Said(&self.message)
    }
}

#[derive(Deserialize)]
pub(crate) struct WouldBeDenied {
    pub(crate) since: Option<When>,
    pub(crate) commands: Vec<WouldBeDeniedCommand>,
}

#[derive(Deserialize)]
pub(crate) struct WouldBeDeniedCommand {
    pub(crate) command: String,
    pub(crate) reason: String,
    pub(crate) calls: u64,
    pub(crate) last: Option<When>,
}

/// `platform.audit.query`
#[derive(Deserialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Event>,
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(rename = "eventId")]
    pub(crate) id: String,
    #[serde(rename = "event")]
    pub(crate) name: String,
    #[serde(deserialize_with = "milliseconds")]
    pub(crate) timestamp: When,
    pub(crate) tenant_id: Option<String>,
    pub(crate) actor_id: String,
    pub(crate) command_id: Option<String>,
    pub(crate) result: String,
    pub(crate) error_code: Option<String>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) trace_id: Option<String>,
    #[serde(default)]
    pub(crate) scope: Option<String>,
    #[serde(default)]
    pub(crate) sequence: Option<u64>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, Value>,
}

impl Event {
    pub(crate) fn tone(&self) -> Tone {
        match self.result.as_str() {
            "succeeded" => "good",
            "failed" => "bad",
            "policy-denied" | "auth-failure" | "warning" => "warn",
            _ => "calm",
        }
    }

    /// Whether a denial page explains its code.
    pub(crate) fn is_denial(&self) -> bool {
        self.error_code.as_deref().is_some_and(|code| code.parse::<descriptors::denial::Reason>().is_ok())
    }

    /// The metadata as lines.
    pub(crate) fn details(&self) -> Vec<(&str, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.metadata.iter().map(|(key, value)| (key.as_str(), text(value))).collect()
    }
}

fn milliseconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<When, D::Error> {
    let milliseconds = i64::deserialize(deserializer)?;
    Timestamp::from_millisecond(milliseconds).map(When).map_err(serde::de::Error::custom)
}

/// A tenant.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tenant {
    pub(crate) tenant_id: kernel::TenantId,
    pub(crate) slug: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    pub(crate) parent_tenant_id: Option<kernel::TenantId>,
    #[serde(default = "at_the_root")]
    pub(crate) depth: u32,
    pub(crate) status: String,
    pub(crate) created_at: When,
}

const fn at_the_root() -> u32 {
    1
}

impl Tenant {
    pub(crate) fn tone(&self) -> Tone {
        match self.status.as_str() {
            "ACTIVE" => "good",
            "SUSPENDED" => "bad",
            _ => "warn",
        }
    }

    /// The status in words.
    pub(crate) fn status_text(&self) -> String {
        words(&self.status)
    }
}

/// `PENDING_EMAIL` as `Pending email`.
pub(crate) fn words(constant: &str) -> String {
    let lower = constant.to_lowercase().replace(['_', '-'], " ");
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}

/// `platform.features.list`
#[derive(Deserialize)]
pub(crate) struct Features {
    pub(crate) features: Vec<KnownFeature>,
}

/// A feature that this build knows.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownFeature {
    pub(crate) key: String,
    pub(crate) value_type: String,
    pub(crate) description: String,
}

/// `platform.entitlements.effective`
#[derive(Deserialize)]
pub(crate) struct Effective {
    /// Absent without a license service.
    pub(crate) effective: Option<Held>,
}

/// What somebody holds in the end.
#[derive(Default, Deserialize)]
pub(crate) struct Held {
    pub(crate) features: BTreeMap<String, Value>,
    pub(crate) quotas: BTreeMap<String, u64>,
}
