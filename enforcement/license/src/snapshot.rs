use std::sync::Arc;

use descriptors::grant::{Ceiling, CeilingUnavailable, LicenseStatus};
use envelope::VerifiedLicense;
use jiff::Timestamp;

/// The license as one call sees it from start to end: immutable.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: State,
}

/// The state of the license, with what belongs to it (semantics 3.7).
#[derive(Clone, Debug)]
pub enum State {
    /// No license service is installed (semantics 2.9).
    Unenforced,
    /// No source is present.
    Missing,
    /// The source was read and refused, or could not be read.
    Invalid(Refusal),
    /// Verified, and inside its validity.
    Active(Held),
    /// Verified, and past its end.
    Expired(Held),
}

/// A verified license and where it came from.
#[derive(Clone, Debug)]
pub struct Held {
    pub(crate) license: Arc<VerifiedLicense>,
    pub(crate) source: SourceKind,
}

impl Held {
    /// The license.
    pub fn license(&self) -> &VerifiedLicense {
        &self.license
    }

    /// Where it came from.
    pub const fn source(&self) -> SourceKind {
        self.source
    }
}

/// Which of the sources (semantics 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `license.path`.
    Path,
    /// `license.dev.path`, behind `license.dev.enabled`.
    Development,
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
    pub(crate) const fn new(stage: &'static str, detail: String) -> Self {
        Self { stage, detail, valid_from: None }
    }
}

impl Snapshot {
    pub(crate) const fn new(state: State) -> Self {
        Self { state }
    }

    /// The state with what belongs to it.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The status, as every surface spells it.
    pub const fn status(&self) -> LicenseStatus {
        match self.state {
            State::Unenforced => LicenseStatus::Unenforced,
            State::Missing => LicenseStatus::Missing,
            State::Invalid(_) => LicenseStatus::Invalid,
            State::Active(_) => LicenseStatus::Active,
            State::Expired(_) => LicenseStatus::Expired,
        }
    }

    /// What the license permits at most.
    pub fn ceiling(&self) -> Ceiling<'_> {
        match &self.state {
            State::Unenforced => Ceiling::Unenforced,
            State::Missing => Ceiling::Unavailable(CeilingUnavailable::Missing),
            State::Invalid(_) => Ceiling::Unavailable(CeilingUnavailable::Invalid),
            State::Active(held) => Ceiling::Granted(&held.license.claims().grant),
            State::Expired(_) => Ceiling::Unavailable(CeilingUnavailable::Expired),
        }
    }

    /// The license, usable or not.
    pub const fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Active(held) | State::Expired(held) => Some(held),
            State::Unenforced | State::Missing | State::Invalid(_) => None,
        }
    }

    /// The license's id.
    pub fn license_id(&self) -> Option<&str> {
        self.held().map(|held| held.license.claims().license_id.as_str())
    }

    /// Where metered windows are anchored: the start of the license's validity (semantics 5.2).
    pub fn anchor(&self) -> Timestamp {
        self.held().map_or(Timestamp::UNIX_EPOCH, |held| held.license.claims().not_before)
    }
}
