//! What one look at the sources yields. Each outcome is a type of its own, so that only the right ones lead on.

use jiff::Timestamp;

use crate::{
    clock::{Rollback, SafeClock},
    state::{Held, State},
};

/// One look at the first source that is present (semantics 3.6).
#[derive(Clone, Debug)]
pub enum Reading {
    /// No source is configured, and none is installed.
    Absent(Absent),
    /// There is a source, and it cannot be read.
    Unreadable(Unreadable),
    /// It was read, and refused.
    Refused(Refused),
    /// It was read, and the vendor has taken it back.
    Revoked(TakenBack),
    /// It was read and verified.
    Verified(Verified),
}

/// No source at all.
#[derive(Clone, Debug)]
pub struct Absent(());

/// A source that cannot be read. Alone in leading to recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub(crate) source: SourceKind,
    pub(crate) detail: String,
    /// Nothing is there, as opposed to something that fails.
    pub(crate) is_gone: bool,
}

/// A license that was read and refused. There is no way from here to a usable state: not by time, not by recovery.
///
/// ```
/// # use chancery_license as license;
/// use license::{SafeClock, State, reading::{LastGood, Unreadable}};
/// fn unreadable(source: Unreadable, last_good: LastGood, clock: &SafeClock) -> State {
///     source.recover(last_good, clock)
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use chancery_license as license;
/// use license::{SafeClock, State, reading::{LastGood, Refused}};
/// fn refused(license: Refused, last_good: LastGood, clock: &SafeClock) -> State {
///     license.recover(last_good, clock)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Refused(pub(crate) Refusal);

/// A license whose signer the vendor has revoked.
#[derive(Clone, Debug)]
pub struct TakenBack(pub(crate) Refusal);

/// A license that was verified and is meant for this deployment. What it is good for depends on the time.
///
/// Without a clock that is known to be safe it yields nothing usable:
///
/// ```
/// # use chancery_license as license;
/// use license::{SafeClock, State, reading::Verified};
/// fn settle(license: Verified, clock: &SafeClock) -> State {
///     license.settle(clock)
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use chancery_license as license;
/// use license::{Rollback, State, reading::Verified};
/// fn settle(license: Verified, clock: &Rollback) -> State {
///     license.settle(clock)
/// }
/// ```
///
/// ```compile_fail,E0451
/// # use chancery_license as license;
/// fn forge(now: jiff::Timestamp) -> license::SafeClock {
///     license::SafeClock { now }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Verified(pub(crate) Held);

/// The license that was last read well, verified again just now: it may stand in for one that cannot be read.
#[derive(Clone, Debug)]
pub struct LastGood {
    pub(crate) held: Held,
    pub(crate) read_at: Timestamp,
    pub(crate) until: Timestamp,
}

/// Which of the sources (semantics 3.6), in their order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Installed by an operator through the program; kept in the database.
    Installed,
    /// `license.path`.
    Path,
    /// `license.token`.
    Token,
    /// `license.dev.path`, behind `license.dev.enabled`.
    Development,
}

impl SourceKind {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Path => "path",
            Self::Token => "token",
            Self::Development => "development",
        }
    }
}

/// Which check failed, in words fit for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stage of verification, such as `signature` or `claims`.
    pub stage: &'static str,
    /// What failed; nothing secret.
    pub detail: String,
    /// When the clock alone will heal it: the license is not valid yet.
    pub valid_from: Option<Timestamp>,
}

impl Refusal {
    /// The stage at which issuer, licensee or installation owner turn out to be unknown.
    pub const PARTIES: &'static str = "parties";

    pub(crate) const fn new(stage: &'static str, detail: String) -> Self {
        Self { stage, detail, valid_from: None }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.stage, self.detail)
    }
}

impl Absent {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Nothing is licensed.
    pub fn miss(self) -> State {
        State::missing(None)
    }
}

impl Unreadable {
    /// The last license that was read well stands in, while it may.
    pub fn recover(self, last_good: LastGood, clock: &SafeClock) -> State {
        State::recovery(self, last_good, clock)
    }

    /// It may stand in, but not by this clock.
    pub fn block(self, last_good: LastGood, rollback: Rollback) -> State {
        State::blocked_recovery(self, last_good, rollback)
    }

    /// There is nothing that could stand in.
    pub fn give_up(self) -> State {
        if self.is_gone {
            return State::missing(Some(self.detail));
        }
        State::invalid(Refusal::new("source", self.detail))
    }
}

impl Refused {
    /// Nothing is licensed.
    pub fn refuse(self) -> State {
        State::invalid(self.0)
    }
}

impl TakenBack {
    /// Nothing is licensed.
    pub fn revoke(self) -> State {
        State::revoked(self.0)
    }
}

impl Verified {
    /// What it is good for, by a clock that is safe.
    pub fn settle(self, clock: &SafeClock) -> State {
        State::of(self.0, clock)
    }

    /// The clock is not to be trusted, so nothing can be said.
    pub fn block(self, rollback: Rollback) -> State {
        State::blocked(self.0, rollback)
    }
}

impl Verified {
    pub(crate) fn issued_at(&self) -> Timestamp {
        self.0.license().claims().issued_at
    }

    pub(crate) const fn source(&self) -> SourceKind {
        self.0.source
    }

    /// It was read well at `read_at`, and may stand in until then, but never beyond its own end.
    pub(crate) fn last_good(self, read_at: Timestamp, until: Timestamp) -> LastGood {
        let until = until.min(self.0.license().claims().expires_at);
        LastGood { held: self.0, read_at, until }
    }
}
