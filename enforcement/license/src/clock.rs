//! The clock guard (semantics 3.8): a clock that goes back grants nothing.

use jiff::{SignedDuration, Timestamp};

/// Proof that the clock has not gone back. Every usable state takes one, and only the guard makes it.
///
/// Its time never falls behind one that was seen before: within the tolerance, the later of the two counts. So an end
/// that has passed stays passed.
#[derive(Debug)]
pub struct SafeClock {
    now: Timestamp,
}

impl SafeClock {
    /// The time to judge by.
    pub const fn now(&self) -> Timestamp {
        self.now
    }
}

/// The clock is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollback {
    now: Timestamp,
    last_seen: Option<Timestamp>,
}

impl Rollback {
    /// What the clock said when it was noticed.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The latest time that was seen before; absent when the stored one was changed, so that nothing is known.
    pub const fn last_seen(&self) -> Option<Timestamp> {
        self.last_seen
    }

    /// What happened and what helps, for operators.
    pub fn explanation(&self) -> String {
        let Self { now, last_seen } = self;
        match last_seen {
            Some(last_seen) => format!(
                "the clock says {now}, and {last_seen} was seen before; this ends when the clock has caught up, or \
                 with a license that was issued later"
            ),
            None => format!(
                "the clock says {now}, and the time that was stored before was changed or cannot be read; this ends with a license that \
                 was issued later"
            ),
        }
    }
}

/// What is known of past times.
#[derive(Clone, Debug)]
pub(crate) struct ClockGuard {
    tolerance: SignedDuration,
    /// The latest time that was seen.
    seen: Option<Timestamp>,
    /// When the latest license that was ever used here was issued.
    issued: Option<Timestamp>,
    /// How often the guard was set back by a later license. Times of an earlier count no longer matter.
    epoch: i64,
    /// The stored time was changed by somebody.
    changed: bool,
}

impl ClockGuard {
    pub(crate) const fn new(tolerance: SignedDuration) -> Self {
        Self { tolerance, seen: None, issued: None, epoch: 0, changed: false }
    }

    pub(crate) const fn seen(&self) -> Option<Timestamp> {
        self.seen
    }

    pub(crate) const fn issued(&self) -> Option<Timestamp> {
        self.issued
    }

    pub(crate) const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Takes in a time that was stored, here or by another replica.
    pub(crate) fn recall(&mut self, seen: Timestamp, issued: Option<Timestamp>, epoch: i64) {
        if epoch > self.epoch {
            (self.epoch, self.seen, self.changed) = (epoch, Some(seen), false);
        } else if epoch == self.epoch {
            self.seen = self.seen.max(Some(seen));
        }
        self.issued = self.issued.max(issued);
    }

    /// Takes in a time that some other note bears witness to, and the license it is about.
    pub(crate) fn witness(&mut self, seen: Timestamp, issued: Option<Timestamp>, epoch: i64) {
        if epoch >= self.epoch {
            self.seen = self.seen.max(Some(seen));
        }
        self.issued = self.issued.max(issued);
    }

    /// The stored time was changed by somebody, so nothing is known of the past.
    pub(crate) const fn distrust(&mut self) {
        self.changed = true;
    }

    /// Whether the clock can be trusted at `now`, given the license that is to be judged by it.
    pub(crate) fn check(&self, now: Timestamp, issued_at: Option<Timestamp>) -> Result<SafeClock, Rollback> {
        if self.changed {
            return Err(Rollback { now, last_seen: None });
        }
        let latest = self.seen.max(issued_at).unwrap_or(now).max(now);
        if latest.duration_since(now) > self.tolerance {
            return Err(Rollback { now, last_seen: Some(latest) });
        }
        Ok(SafeClock { now: latest })
    }

    /// Remembers what a trusted clock said, and when the license in use was issued.
    pub(crate) fn advance(&mut self, clock: &SafeClock, issued_at: Option<Timestamp>) {
        self.seen = self.seen.max(Some(clock.now));
        self.issued = self.issued.max(issued_at);
    }

    /// Whether a license issued then proves that the clock is right: its vendor signed it later than any license that
    /// was used here, and not in the clock's future.
    pub(crate) fn is_healed_by(&self, issued_at: Timestamp, now: Timestamp) -> bool {
        let is_later = match self.issued {
            Some(latest) => issued_at > latest,
            // Nothing was ever used here, and nobody changed what is known.
            None => !self.changed,
        };
        is_later && issued_at.duration_since(now) <= self.tolerance
    }

    /// Starts to count time anew, from a license that heals.
    pub(crate) fn heal(&mut self, issued_at: Timestamp, now: Timestamp) {
        *self = Self {
            tolerance: self.tolerance,
            seen: Some(now),
            issued: self.issued.max(Some(issued_at)),
            epoch: self.epoch.saturating_add(1),
            changed: false,
        };
    }

    /// The license that is in use when nothing is known of earlier ones: what heals must be later than this one.
    pub(crate) fn note_issue(&mut self, issued_at: Timestamp) {
        self.issued.get_or_insert(issued_at);
    }
}
