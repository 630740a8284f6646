//! How quotas are counted.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

/// `[license.quota]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Quota {
    /// Where the windows of metered quotas begin.
    pub window_anchor: WindowAnchor,
    /// The time zone of the calendar, by its IANA name, such as `Europe/Berlin`. Of no effect where windows begin with the
    /// license.
    #[serde(deserialize_with = "named")]
    #[schemars(with = "String", default = "utc")]
    pub time_zone: TimeZone,
}

/// `license.quota.window-anchor`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowAnchor {
    /// At the instant from which the license is valid.
    #[default]
    License,
    /// Where the calendar begins a year, a month, a week, a day or an hour.
    Calendar,
}

impl Default for Quota {
    fn default() -> Self {
        Self { window_anchor: WindowAnchor::License, time_zone: TimeZone::UTC }
    }
}

fn named<'de, D: Deserializer<'de>>(value: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(value)?;
    let known = || TimeZone::get(&name).ok();
    let zone = if name == "UTC" { Some(TimeZone::UTC) } else { known() };
    zone.ok_or_else(|| {
        D::Error::custom("expected a time zone that this machine knows, such as `UTC` or `Europe/Berlin`")
    })
}

fn utc() -> String {
    "UTC".to_owned()
}
