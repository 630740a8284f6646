//! The state of the license and the moves between states (semantics 3.7).
//!
//! ```text
//!  reading        + safe clock                          + clock that went back
//!  ------------   -----------------------------------   ----------------------
//!  Absent         Missing                               Missing
//!  Unreadable     Recovery, else Missing or Invalid     Blocked, else the same
//!  Refused        Invalid                               Invalid
//!  TakenBack      Revoked                               Revoked
//!  Verified       Invalid until it begins, then         Blocked
//!                 Active, then Grace, then Expired
//! ```
//!
//! **Invariant: a state is made by these moves only.** A usable one takes a [`SafeClock`]; [`Recovery`] takes an
//! [`Unreadable`] source and a [`LastGood`] license; nothing leads from [`Expired`], [`Revoked`] or [`Missing`] to a usable
//! state but another reading.

use std::sync::Arc;

use envelope::VerifiedLicense;
use jiff::Timestamp;

use crate::{
    clock::{Rollback, SafeClock},
    reading::{LastGood, Refusal, SourceKind, Unreadable, Verified},
};

/// The state of the license, with what belongs to it.
#[derive(Clone, Debug)]
pub enum State {
    /// No license service is installed (semantics 2.9).
    Unenforced(Unenforced),
    /// There is no license.
    Missing(Missing),
    /// Verified, and inside its validity.
    Active(Active),
    /// Verified, past its end, inside its grace.
    Grace(Grace),
    /// The source cannot be read; the license that was read last stands in.
    Recovery(Recovery),
    /// Verified, past its end and any grace.
    Expired(Expired),
    /// The source was read and refused, or cannot be read.
    Invalid(Invalid),
    /// The clock is not to be trusted.
    Blocked(Blocked),
    /// The vendor has taken it back.
    Revoked(Revoked),
}

/// A verified license, where it came from, and until when its grace lasts here.
#[derive(Clone, Debug)]
pub struct Held {
    pub(crate) license: Arc<VerifiedLicense>,
    pub(crate) source: SourceKind,
    pub(crate) grace_until: Timestamp,
}

/// No license service.
#[derive(Clone, Debug)]
pub struct Unenforced(());

/// No license.
#[derive(Clone, Debug)]
pub struct Missing {
    detail: Option<String>,
}

/// A license inside its validity.
#[derive(Clone, Debug)]
pub struct Active {
    held: Held,
}

/// A license inside its grace.
#[derive(Clone, Debug)]
pub struct Grace {
    held: Held,
}

/// A license that stands in for one that cannot be read.
#[derive(Clone, Debug)]
pub struct Recovery {
    why: Unreadable,
    last_good: LastGood,
}

/// A license past its end. Time alone leads nowhere from here:
///
/// ```
/// # use chancery_license as license;
/// use license::{SafeClock, State, state::Grace};
/// fn later(license: Grace, clock: &SafeClock) -> State {
///     license.at(clock)
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use chancery_license as license;
/// use license::{SafeClock, State, state::Expired};
/// fn later(license: Expired, clock: &SafeClock) -> State {
///     license.at(clock)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Expired {
    held: Held,
}

/// A license that was refused, or whose source cannot be read.
#[derive(Clone, Debug)]
pub struct Invalid {
    refusal: Refusal,
    /// A license that has not begun.
    early: Option<Held>,
}

/// A license that cannot be judged by this clock.
#[derive(Clone, Debug)]
pub struct Blocked {
    withheld: Withheld,
    rollback: Rollback,
}

#[derive(Clone, Debug)]
enum Withheld {
    License(Held),
    Recovery(Unreadable, LastGood),
}

/// A license that the vendor has taken back.
///
/// ```compile_fail,E0599
/// # use chancery_license as license;
/// use license::{SafeClock, State, state::Revoked};
/// fn later(license: Revoked, clock: &SafeClock) -> State {
///     license.at(clock)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Revoked {
    refusal: Refusal,
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

    /// Until when it counts here: its end, and its grace as far as the operator lets it.
    pub const fn grace_until(&self) -> Timestamp {
        self.grace_until
    }
}

impl State {
    pub(crate) const fn unenforced() -> Self {
        Self::Unenforced(Unenforced(()))
    }

    pub(crate) const fn missing(detail: Option<String>) -> Self {
        Self::Missing(Missing { detail })
    }

    pub(crate) const fn invalid(refusal: Refusal) -> Self {
        Self::Invalid(Invalid { refusal, early: None })
    }

    pub(crate) const fn revoked(refusal: Refusal) -> Self {
        Self::Revoked(Revoked { refusal })
    }

    /// The one place where a license becomes usable.
    pub(crate) fn of(held: Held, clock: &SafeClock) -> Self {
        let claims = held.license.claims();
        if clock.now() < claims.not_before {
            let valid_from = Some(claims.not_before);
            let detail = format!("license `{}` is not valid before {}", claims.license_id, claims.not_before);
            let refusal = Refusal { valid_from, ..Refusal::new("claims", detail) };
            Self::Invalid(Invalid { refusal, early: Some(held) })
        } else if clock.now() < claims.expires_at {
            Self::Active(Active { held })
        } else if clock.now() < held.grace_until {
            Self::Grace(Grace { held })
        } else {
            Self::Expired(Expired { held })
        }
    }

    pub(crate) fn recovery(why: Unreadable, last_good: LastGood, clock: &SafeClock) -> Self {
        let begun = last_good.held.license.claims().not_before <= clock.now();
        if begun && clock.now() < last_good.until {
            return Self::Recovery(Recovery { why, last_good });
        }
        let until = last_good.until;
        let detail = format!("{}; the license that was read last stood in until {until}", why.detail);
        Unreadable { detail, ..why }.give_up()
    }

    pub(crate) const fn blocked(held: Held, rollback: Rollback) -> Self {
        Self::Blocked(Blocked { withheld: Withheld::License(held), rollback })
    }

    pub(crate) const fn blocked_recovery(why: Unreadable, good: LastGood, rollback: Rollback) -> Self {
        Self::Blocked(Blocked { withheld: Withheld::Recovery(why, good), rollback })
    }

    /// The state at a later time, nothing else having changed.
    #[must_use]
    pub fn at(self, clock: Result<&SafeClock, Rollback>) -> Self {
        match (self, clock) {
            (Self::Active(state), Ok(clock)) => state.at(clock),
            (Self::Grace(state), Ok(clock)) => state.at(clock),
            (Self::Recovery(state), Ok(clock)) => state.at(clock),
            (Self::Invalid(state), Ok(clock)) => state.at(clock),
            (Self::Blocked(state), Ok(clock)) => state.lift(clock),
            (
                Self::Active(Active { held })
                | Self::Grace(Grace { held })
                | Self::Expired(Expired { held })
                | Self::Invalid(Invalid { early: Some(held), .. }),
                Err(rollback),
            ) => Verified(held).block(rollback),
            (Self::Recovery(Recovery { why, last_good }), Err(rollback)) => why.block(last_good, rollback),
            (
                state @ (Self::Unenforced(_)
                | Self::Missing(_)
                | Self::Expired(_)
                | Self::Invalid(_)
                | Self::Blocked(_)
                | Self::Revoked(_)),
                _,
            ) => state,
        }
    }

    /// The license, usable or not, where one is verified and has begun.
    pub const fn held(&self) -> Option<&Held> {
        match self {
            Self::Active(Active { held })
            | Self::Grace(Grace { held })
            | Self::Expired(Expired { held })
            | Self::Recovery(Recovery { last_good: LastGood { held, .. }, .. })
            | Self::Blocked(Blocked {
                withheld: Withheld::License(held) | Withheld::Recovery(_, LastGood { held, .. }),
                ..
            }) => Some(held),
            Self::Unenforced(_) | Self::Missing(_) | Self::Invalid(_) | Self::Revoked(_) => None,
        }
    }

    /// When the clock alone will change it next.
    pub fn next_edge(&self) -> Option<Timestamp> {
        let reopened = |held: &Held| held.license.reopen_at();
        match self {
            Self::Active(Active { held }) => Some(held.license.claims().expires_at.min(reopened(held))),
            Self::Grace(Grace { held }) => Some(held.grace_until.min(reopened(held))),
            Self::Recovery(state) => Some(state.until().min(reopened(&state.last_good.held))),
            Self::Invalid(state) => state.refusal.valid_from,
            Self::Blocked(state) => state.rollback.last_seen(),
            Self::Unenforced(_) | Self::Missing(_) | Self::Expired(_) | Self::Revoked(_) => None,
        }
    }

    /// Why nothing is licensed, or what stands in, for operators.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Missing(Missing { detail }) => detail.clone(),
            Self::Invalid(Invalid { refusal, .. }) | Self::Revoked(Revoked { refusal }) => {
                Some(refusal.to_string())
            }
            Self::Recovery(Recovery { why, .. }) => Some(why.detail.clone()),
            Self::Blocked(Blocked { rollback, .. }) => Some(format!("clock: {}", rollback.explanation())),
            Self::Unenforced(_) | Self::Active(_) | Self::Grace(_) | Self::Expired(_) => None,
        }
    }
}

impl Missing {
    /// What was looked for and not found, where something was.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl Active {
    /// The license.
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// The state at a later time.
    pub fn at(self, clock: &SafeClock) -> State {
        Verified(self.held).settle(clock)
    }
}

impl Grace {
    /// The license.
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// Its last instant: the signed grace, or the operator's cap where that is shorter.
    pub const fn until(&self) -> Timestamp {
        self.held.grace_until
    }

    /// The state at a later time.
    pub fn at(self, clock: &SafeClock) -> State {
        Verified(self.held).settle(clock)
    }
}

impl Recovery {
    /// The license that stands in.
    pub const fn held(&self) -> &Held {
        &self.last_good.held
    }

    /// When the source was last read well.
    pub const fn since(&self) -> Timestamp {
        self.last_good.read_at
    }

    /// Until when the license may stand in.
    pub const fn until(&self) -> Timestamp {
        self.last_good.until
    }

    /// Why the source cannot be read.
    pub fn why(&self) -> &str {
        &self.why.detail
    }

    /// The state at a later time.
    pub fn at(self, clock: &SafeClock) -> State {
        self.why.recover(self.last_good, clock)
    }
}

impl Expired {
    /// The license.
    pub const fn held(&self) -> &Held {
        &self.held
    }
}

impl Invalid {
    /// Which check failed.
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The state at a later time: a license that had not begun may have.
    pub fn at(self, clock: &SafeClock) -> State {
        match self.early {
            Some(held) => Verified(held).settle(clock),
            None => State::Invalid(self),
        }
    }
}

impl Blocked {
    /// Both times.
    pub const fn rollback(&self) -> Rollback {
        self.rollback
    }

    /// The clock has caught up, or is proven right.
    pub fn lift(self, clock: &SafeClock) -> State {
        match self.withheld {
            Withheld::License(held) => Verified(held).settle(clock),
            Withheld::Recovery(why, last_good) => why.recover(last_good, clock),
        }
    }
}

impl Revoked {
    /// What was taken back, and by whom.
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}
