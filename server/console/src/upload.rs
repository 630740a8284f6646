//! A license between its preview and its installation. It is kept in memory only, for whoever handed it in, and never leaves
//! the process: the page carries a number, not the license.

use std::{collections::BTreeMap, sync::Mutex};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// How long a candidate is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// How many are kept at most; the oldest goes first.
const ROOM: usize = 16;

/// Licenses that were previewed.
pub(crate) struct Candidates(Mutex<BTreeMap<Uuid, Candidate>>);

struct Candidate {
    owner: String,
    since: Timestamp,
    license: SecretString,
}

impl Candidates {
    pub(crate) const fn none() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Keeps a license for `owner` under this id, which is ordered by time.
    pub(crate) fn keep(&self, id: Uuid, owner: &str, license: &str, now: Timestamp) {
        let mut kept = self.0.lock().expect("nothing panics while it holds this");
        kept.retain(|_, candidate| now.duration_since(candidate.since) < KEPT);
        if kept.len() >= ROOM {
            kept.pop_first();
        }
        let candidate = Candidate { owner: owner.to_owned(), since: now, license: license.into() };
        kept.insert(id, candidate);
    }

    /// The license under this id, if it is this owner's and not too old. It is kept no longer.
    pub(crate) fn take(&self, id: &str, owner: &str, now: Timestamp) -> Option<String> {
        let id = id.parse().ok()?;
        let mut kept = self.0.lock().expect("nothing panics while it holds this");
        kept.retain(|_, candidate| now.duration_since(candidate.since) < KEPT);
        kept.get(&id).filter(|candidate| candidate.owner == owner)?;
        kept.remove(&id).map(|candidate| candidate.license.expose_secret().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_its_owners_once_and_for_a_while() {
        let candidates = Candidates::none();
        let id = Uuid::from_u128(1);
        let now = Timestamp::UNIX_EPOCH;
        candidates.keep(id, "operator:a", "license", now);
        assert_eq!(candidates.take(&id.to_string(), "operator:b", now), None);
        assert_eq!(candidates.take(&id.to_string(), "operator:a", now).as_deref(), Some("license"));
        assert_eq!(candidates.take(&id.to_string(), "operator:a", now), None);
        candidates.keep(id, "operator:a", "license", now);
        assert_eq!(candidates.take(&id.to_string(), "operator:a", now + KEPT), None);
    }

    #[test]
    fn there_is_room_for_a_few() {
        let candidates = Candidates::none();
        for number in 0..=ROOM {
            candidates.keep(Uuid::from_u128(number as u128), "a", "license", Timestamp::UNIX_EPOCH);
        }
        let id = Uuid::from_u128(0).to_string();
        assert_eq!(candidates.take(&id, "a", Timestamp::UNIX_EPOCH), None, "the oldest went");
    }
}
