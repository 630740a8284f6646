use std::sync::Arc;

use descriptors::grant::{Ceiling, CeilingUnavailable, LicenseStatus};
use jiff::Timestamp;

use crate::{
    reading::Refusal,
    state::{Held, State},
};

/// The license as one call sees it from start to end: immutable.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: State,
    pub(crate) ladder: Arc<[u32]>,
    /// What is wrong with what is remembered, for operators.
    pub(crate) memory: Option<String>,
}

impl Snapshot {
    pub(crate) const fn new(state: State, ladder: Arc<[u32]>, memory: Option<String>) -> Self {
        Self { state, ladder, memory }
    }

    /// The state with what belongs to it.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The status, as every surface spells it.
    pub const fn status(&self) -> LicenseStatus {
        match self.state {
            State::Unenforced(_) => LicenseStatus::Unenforced,
            State::Missing(_) => LicenseStatus::Missing,
            State::Active(_) => LicenseStatus::Active,
            State::Grace(_) => LicenseStatus::Grace,
            State::Recovery(_) => LicenseStatus::Recovery,
            State::Expired(_) => LicenseStatus::Expired,
            State::Invalid(_) => LicenseStatus::Invalid,
            State::Blocked(_) => LicenseStatus::Blocked,
            State::Revoked(_) => LicenseStatus::Revoked,
        }
    }

    /// What the license permits at most.
    pub fn ceiling(&self) -> Ceiling<'_> {
        match &self.state {
            State::Unenforced(_) => Ceiling::Unenforced,
            State::Active(state) => granted(state.held()),
            State::Grace(state) => granted(state.held()),
            State::Recovery(state) => granted(state.held()),
            State::Missing(_) => Ceiling::Unavailable(CeilingUnavailable::Missing),
            State::Expired(_) => Ceiling::Unavailable(CeilingUnavailable::Expired),
            State::Invalid(state) if state.refusal().stage == Refusal::PARTIES => {
                Ceiling::Unavailable(CeilingUnavailable::PartyUnresolved)
            }
            State::Invalid(_) | State::Blocked(_) | State::Revoked(_) => {
                Ceiling::Unavailable(CeilingUnavailable::Invalid)
            }
        }
    }

    /// The license, usable or not, where one is verified and has begun.
    pub const fn held(&self) -> Option<&Held> {
        self.state.held()
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

fn granted(held: &Held) -> Ceiling<'_> {
    Ceiling::Granted(&held.license.claims().grant)
}
