use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Hold, MOST, QuotaError, Settlement};

/// The rows that a batch needs, as the database has them under lock, and what becomes of them.
///
/// Everything that is decided about a batch is decided here, by one intent after the other in order of arrival;
/// the database only reads and writes rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    accounts: HashMap<Arc<str>, Row<Account>>,
    holds: HashMap<Place, Row<Held>>,
}

/// A group and a bucket.
type Place = (Arc<str>, Arc<str>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) used: u64,
    /// INVARIANT: the sum of the units of all holds on this bucket, in the database.
    pub(super) held: u64,
}

/// What the reservations of one group hold in one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) units: u64,
    pub(super) expires_at: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row<T> {
    before: T,
    now: T,
}

impl Ledger {
    pub(super) fn knows(&self, bucket: &str) -> bool {
        self.accounts.contains_key(bucket)
    }

    pub(super) fn load_account(&mut self, bucket: Arc<str>, account: Account) {
        self.accounts.insert(bucket, Row { before: account, now: account });
    }

    pub(super) fn load_hold(&mut self, group: Arc<str>, bucket: Arc<str>, held: Held) {
        self.holds.insert((group, bucket), Row { before: held, now: held });
    }

    /// Takes all of the holds or none, after removing what had expired where there is no room otherwise.
    pub(super) fn reserve(
        &mut self,
        group: &Arc<str>,
        holds: &[Hold],
        expires_at: i64,
        now: i64,
    ) -> Result<(), QuotaError> {
        for hold in holds {
            if !hold.fits(self.taken(&hold.bucket.key)) {
                self.expire(&hold.bucket.key, now);
            }
            let taken = self.taken(&hold.bucket.key);
            if !hold.fits(taken) {
                return Err(hold.exhausted(taken).into());
            }
        }
        for hold in holds {
            self.account(&hold.bucket.key).held += hold.units;
            let row = self.holds.entry((Arc::clone(group), Arc::clone(&hold.bucket.key))).or_default();
            row.now.units += hold.units;
            row.now.expires_at = row.now.expires_at.max(expires_at);
        }
        Ok(())
    }

    /// Commits all of the holds or none. Whatever is left of them is released.
    pub(super) fn settle(
        &mut self,
        group: &Arc<str>,
        holds: &[Hold],
        settlement: Settlement,
    ) -> Result<(), QuotaError> {
        let mut found = Vec::with_capacity(holds.len());
        for hold in holds {
            let row = self.holds.get_mut(&(Arc::clone(group), Arc::clone(&hold.bucket.key)));
            if let Some(row) = row.filter(|row| row.now.units >= hold.units) {
                row.now.units -= hold.units;
                found.push(hold);
            }
        }
        let whole = found.len() == holds.len();
        for hold in found {
            let account = self.account(&hold.bucket.key);
            account.held -= hold.units;
            if whole && settlement == Settlement::Commit {
                account.used += hold.units;
            }
        }
        if whole || settlement == Settlement::Release { Ok(()) } else { Err(QuotaError::Expired) }
    }

    /// Removes every known hold whose time is over.
    pub(super) fn expire_all(&mut self, now: i64) {
        for bucket in self.accounts.keys().cloned().collect::<Vec<_>>() {
            self.expire(&bucket, now);
        }
    }

    /// The accounts that are not what they were.
    pub(super) fn changed_accounts(&self) -> impl Iterator<Item = (&str, Account)> {
        self.accounts.iter().filter(|(_, row)| row.before != row.now).map(|(key, row)| (&**key, row.now))
    }

    /// The holds that are more or less than they were, and still are.
    pub(super) fn changed_holds(&self) -> impl Iterator<Item = (&str, &str, Held)> {
        self.holds
            .iter()
            .filter(|(_, row)| row.before != row.now && row.now.units > 0)
            .map(|((group, bucket), row)| (&**group, &**bucket, row.now))
    }

    /// The holds that are no more.
    pub(super) fn ended_holds(&self) -> impl Iterator<Item = (&str, &str)> {
        self.holds
            .iter()
            .filter(|(_, row)| row.before.units > 0 && row.now.units == 0)
            .map(|((group, bucket), _)| (&**group, &**bucket))
    }

    fn taken(&mut self, bucket: &Arc<str>) -> u64 {
        let Account { used, held } = *self.account(bucket);
        used + held
    }

    fn account(&mut self, bucket: &Arc<str>) -> &mut Account {
        &mut self.accounts.entry(Arc::clone(bucket)).or_default().now
    }

    /// Removes every known hold on a bucket whose time is over.
    fn expire(&mut self, bucket: &Arc<str>, now: i64) {
        let mut freed = 0;
        for ((_, of), row) in &mut self.holds {
            if of == bucket && row.before.units > 0 && row.now.expires_at <= now {
                freed += std::mem::take(&mut row.now.units);
            }
        }
        self.account(bucket).held -= freed;
    }
}

/// What a caller wants, as the ledger sees it.
pub(super) struct Intent<'a> {
    pub(super) group: Arc<str>,
    pub(super) holds: &'a [Hold],
    pub(super) want: Want,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Want {
    Reserve { expires_at: i64, now: i64 },
    Settle(Settlement),
}

/// One intent after the other.
pub(super) fn decide(before: &Ledger, intents: &[Intent<'_>]) -> (Ledger, Vec<Result<(), QuotaError>>) {
    let mut ledger = before.clone();
    let verdicts = intents
        .iter()
        .map(|Intent { group, holds, want }| match *want {
            Want::Reserve { expires_at, now } => ledger.reserve(group, holds, expires_at, now),
            Want::Settle(settlement) => ledger.settle(group, holds, settlement),
        })
        .collect();
    (ledger, verdicts)
}

/// The latest instant at which somebody found no room.
pub(super) fn latest(intents: &[Intent<'_>], verdicts: &[Result<(), QuotaError>]) -> Option<i64> {
    let without_room = intents.iter().zip(verdicts).filter_map(|(intent, verdict)| match intent.want {
        Want::Reserve { now, .. } if verdict.is_err() => Some(now),
        Want::Reserve { .. } | Want::Settle(_) => None,
    });
    without_room.max()
}

/// What a batch adds up to if every intent in it is granted: sufficient for granting all of them, in any order.
#[derive(Debug, Default)]
pub(super) struct Sum {
    accounts: HashMap<Arc<str>, Change>,
    holds: HashMap<Place, (i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    used: i64,
    held: i64,
    /// Room that is needed, and the lowest limit anybody stated.
    need: u64,
    limit: u64,
}

impl Sum {
    pub(super) fn of(intents: &[Intent<'_>]) -> Self {
        let mut sum = Self::default();
        for Intent { group, holds, want } in intents {
            match *want {
                Want::Reserve { expires_at, .. } => sum.reserve(group, holds, expires_at),
                Want::Settle(settlement) => sum.settle(group, holds, settlement),
            }
        }
        sum
    }

    fn reserve(&mut self, group: &Arc<str>, holds: &[Hold], expires_at: i64) {
        for hold in holds {
            let change = self.account(&hold.bucket.key);
            change.need = change.need.saturating_add(hold.units).min(MOST);
            change.held = change.held.saturating_add_unsigned(hold.units);
            change.limit = change.limit.min(hold.limit);
            let held = self.hold(group, hold);
            *held = (held.0.saturating_add_unsigned(hold.units), held.1.max(expires_at));
        }
    }

    fn settle(&mut self, group: &Arc<str>, holds: &[Hold], settlement: Settlement) {
        for hold in holds {
            let change = self.account(&hold.bucket.key);
            change.held = change.held.saturating_sub_unsigned(hold.units);
            if settlement == Settlement::Commit {
                change.used = change.used.saturating_add_unsigned(hold.units);
            }
            let held = self.hold(group, hold);
            held.0 = held.0.saturating_sub_unsigned(hold.units);
        }
    }

    /// Bucket, more used, more held, room needed, limit.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&str, i64, i64, u64, u64)> {
        self.accounts.iter().map(|(key, of)| (&**key, of.used, of.held, of.need, of.limit))
    }

    /// Group, bucket, more units, when they expire.
    pub(super) fn holds(&self) -> impl Iterator<Item = (&str, &str, i64, i64)> {
        let changed = self.holds.iter().filter(|(_, (units, _))| *units != 0);
        changed.map(|((group, key), (units, expires_at))| (&**group, &**key, *units, *expires_at))
    }

    fn account(&mut self, bucket: &Arc<str>) -> &mut Change {
        let nothing = Change { used: 0, held: 0, need: 0, limit: MOST };
        self.accounts.entry(Arc::clone(bucket)).or_insert(nothing)
    }

    fn hold(&mut self, group: &Arc<str>, hold: &Hold) -> &mut (i64, i64) {
        self.holds.entry((Arc::clone(group), Arc::clone(&hold.bucket.key))).or_default()
    }
}

/// The buckets that some intent touches.
pub(super) fn buckets<'a>(holds: impl Iterator<Item = &'a Hold>) -> BTreeSet<&'a str> {
    holds.map(|hold| &*hold.bucket.key).collect()
}
