//! The warning ladder (semantics 3.11).

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use descriptors::grant::LicenseStatus;

use crate::{Snapshot, state::State};

/// How long before a revocation list is due a warning is.
const LISTS_DUE_DAYS: i64 = 7;

/// Something an operator should look after before it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// What will happen, for programs.
    pub code: WarningCode,
    /// Whole days until then, rounded up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub days_left: Option<i64>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// What will happen, for people.
    pub message: String,
}

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WarningCode {
    /// The license nears its end.
    LicenseExpires,
    /// The license is past its end, and its grace will end.
    GraceEnds,
    /// The source cannot be read, and the last license that was read stands in for a while.
    RecoveryEnds,
    /// A revocation list is due: from then on licenses are refused.
    RevocationListDue,
    /// A certificate ends before the license it signed: from then on the license is refused.
    SignerExpires,
    /// Something that was kept was changed, or cannot be kept.
    MemoryFails,
}

impl WarningCode {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LicenseExpires => "LICENSE_EXPIRES",
            Self::GraceEnds => "GRACE_ENDS",
            Self::RecoveryEnds => "RECOVERY_ENDS",
            Self::RevocationListDue => "REVOCATION_LIST_DUE",
            Self::SignerExpires => "SIGNER_EXPIRES",
            Self::MemoryFails => "MEMORY_FAILS",
        }
    }
}

/// What happened, for whoever audits and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The status changed, or another license took over.
    Changed {
        /// The status before.
        from: LicenseStatus,
        /// The status from now on.
        to: LicenseStatus,
        /// The license, where there is one.
        license_id: Option<String>,
        /// Why, where there is something to say.
        detail: Option<String>,
    },
    /// A step of the ladder was reached. Each step is announced once for each license.
    Warned {
        /// The license, where there is one.
        license_id: Option<String>,
        /// The warning.
        warning: Warning,
    },
}

impl Snapshot {
    /// What operators should look after, at `now`.
    pub fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |code, until: Timestamp, message: &str| {
            let days = days_until(until, now);
            let message = format!("{message} at {until}, {}", in_days(days));
            warnings.push(Warning { code, days_left: Some(days), until: Some(until), message });
        };
        let within = |until, days: i64| days_until(until, now) <= days;
        let longest = self.ladder.iter().copied().max().map_or(0, i64::from);

        match &self.state() {
            State::Active(state) => {
                let end = state.held().license().claims().expires_at;
                if within(end, longest) {
                    warn(WarningCode::LicenseExpires, end, "the license expires");
                }
            }
            State::Grace(state) => {
                warn(WarningCode::GraceEnds, state.until(), "the license has expired; its grace ends");
            }
            State::Recovery(state) => {
                let what = "the license cannot be read; the last one that was read stops to stand in";
                warn(WarningCode::RecoveryEnds, state.until(), what);
            }
            _ => {}
        }
        if let Some(held) = self.held().filter(|_| self.status().is_usable()) {
            let license = held.license();
            let end = license.chain_expires_at();
            if end < held.grace_until() && within(end, longest) {
                warn(WarningCode::SignerExpires, end, "a certificate of the license's signer expires");
            }
            if let Some(due) = license.lists_fresh_until().filter(|due| within(*due, LISTS_DUE_DAYS)) {
                let what =
                    "a certificate revocation list is due, and licenses are refused until it is replaced,";
                warn(WarningCode::RevocationListDue, due, what);
            }
        }
        if let Some(trouble) = &self.memory {
            let (code, message) = (WarningCode::MemoryFails, trouble.clone());
            warnings.push(Warning { code, days_left: None, until: None, message });
        }
        warnings
    }

    /// What makes a warning one that was not given yet: its license, what it is about, and the step of the ladder.
    pub(crate) fn step_of(&self, warning: &Warning) -> String {
        let reached = |days: &u32| warning.days_left.is_some_and(|left| left <= i64::from(*days));
        let step = self.ladder.iter().copied().filter(reached).min();
        let step = step.map_or_else(|| "first".to_owned(), |step| step.to_string());
        format!("{} {step} {}", warning.code.as_str(), self.license_id().unwrap_or_default())
    }
}

/// Whole days, rounded up; 0 once past.
pub(crate) fn days_until(end: Timestamp, now: Timestamp) -> i64 {
    const DAY: i128 = SignedDuration::from_hours(24).as_nanos();
    let left = end.duration_since(now).as_nanos().max(0);
    i64::try_from((left + DAY - 1) / DAY).unwrap_or(i64::MAX)
}

fn in_days(days: i64) -> String {
    match days {
        0 => "now".to_owned(),
        1 => "within a day".to_owned(),
        days => format!("in {days} days"),
    }
}
