use jiff::{SignedDuration, Timestamp};

use crate::{Limit, Usage, Window};

/// How far a quota is used, and when it will be used up (semantics 5.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The quota key.
    pub quota: String,
    /// Units, or things, that there may be.
    pub limit: u64,
    /// Units charged for good, or things that exist.
    pub used: u64,
    /// Units, or places, of running calls.
    pub reserved: u64,
    /// The window that units are counted in; things have none.
    pub window: Option<Window>,
    /// Whether nothing more is admitted at the moment.
    pub at_cap: bool,
    /// When the limit is reached if use goes on as it did since the window began. `None`: not within this window.
    /// For a quota at its cap it is the instant of the question. For things there is no forecast.
    pub runs_out_at: Option<Timestamp>,
}

impl Projection {
    /// Of a metered quota.
    pub fn metered(limit: Limit<'_>, usage: Usage, now: Timestamp) -> Self {
        let taken = usage.used.saturating_add(usage.reserved);
        let at_cap = taken >= limit.limit;
        Self {
            quota: limit.quota.to_owned(),
            limit: limit.limit,
            used: usage.used,
            reserved: usage.reserved,
            window: Some(limit.window),
            at_cap,
            runs_out_at: if at_cap { Some(now) } else { forecast(limit, usage.used, now) },
        }
    }

    /// Of a quota over live things.
    pub fn cardinality(quota: &str, limit: u64, usage: Usage) -> Self {
        Self {
            quota: quota.to_owned(),
            limit,
            used: usage.used,
            reserved: usage.reserved,
            window: None,
            at_cap: usage.used.saturating_add(usage.reserved) >= limit,
            runs_out_at: None,
        }
    }
}

/// A line through nothing at the window's start and what is used now.
fn forecast(Limit { limit, window, .. }: Limit<'_>, used: u64, now: Timestamp) -> Option<Timestamp> {
    let elapsed = now.duration_since(window.start).as_micros();
    if used == 0 || elapsed <= 0 {
        return None;
    }
    let until_then = elapsed.checked_mul(i128::from(limit))? / i128::from(used);
    let until_then = SignedDuration::from_micros(i64::try_from(until_then).ok()?);
    window.start.checked_add(until_then).ok().filter(|instant| *instant < window.end)
}
