//! Holds that outlast their calls, for the next calls that ask the same.
//!
//! Locks come from `super::sync`, so that `tests/kept.rs` can put this very file under a model checker.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::sync::{Mutex, MutexGuard};
use super::{Hold, Share};

/// How long a hold is kept for a next call, and how soon after one call another has to come for its hold to be kept.
const LINGER: Duration = Duration::from_millis(50);

/// How often somebody looks for what was kept for too long.
pub(super) const ROUND: Duration = Duration::from_millis(25);

/// How long nothing is kept where a charge found no room beside what it holds.
const TIGHT: Duration = Duration::from_secs(1);

/// What this process holds for nobody.
///
/// INVARIANT: what is here is still held in the database, or was lost with a crash of the server, and no running call has it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By what a call asks: the same units of the same buckets under the same limits.
    asked: HashMap<Arc<[Hold]>, Asked>,
    /// How often something was given back.
    given_back: u64,
    /// Whether somebody has promised to come back.
    tended: bool,
}

#[derive(Debug)]
struct Asked {
    charged_at: Instant,
    tight_until: Instant,
    idle: Vec<(Instant, Share)>,
}

impl Kept {
    /// A hold that does for a call which asks this, and expires when its reservation may.
    pub(super) fn take(&self, holds: &Arc<[Hold]>, expires_at: i64) -> Option<Share> {
        let mut state = self.state();
        let idle = &mut state.asked.get_mut(holds)?.idle;
        let (_, last) = idle.last()?;
        (last.expires_at == super::full_second(expires_at)).then(|| idle.pop())?.map(|(_, share)| share)
    }

    /// Whether it is worth keeping each of these: others like it came shortly before, and there was room.
    pub(super) fn wanted<'a>(&self, shares: impl Iterator<Item = &'a Share>) -> Vec<bool> {
        let (state, now) = (self.state(), Instant::now());
        shares
            .map(|share| {
                let asked = state.asked.get(&share.holds);
                asked.is_some_and(|asked| asked.tight_until <= now && now < asked.charged_at + LINGER)
            })
            .collect()
    }

    /// Notes charges, and what of them is still held. Whoever is told so must
    /// [`release_overdue`](Self::release_overdue) from time to time.
    #[must_use]
    pub(super) fn charged(&self, shares: impl Iterator<Item = (Share, Left)>) -> bool {
        let (mut state, now) = (self.state(), Instant::now());
        for (share, left) in shares {
            let asked = state.asked.entry(Arc::clone(&share.holds)).or_insert_with(|| Asked {
                charged_at: now,
                tight_until: now,
                idle: Vec::new(),
            });
            asked.charged_at = now;
            match left {
                Left::Held => asked.idle.push((now, share)),
                Left::Nothing => {}
                Left::NoRoom => asked.tight_until = now + TIGHT,
            }
        }
        !std::mem::replace(&mut state.tended, true)
    }

    /// Changes whenever something is given back.
    pub(super) fn given_back(&self) -> u64 {
        self.state().given_back
    }

    /// Releases all that holds units of a bucket, or everything, for whoever needs room or has to know how much there is.
    ///
    /// It is released before anybody can see that it is not here any more: who asks after that finds the room.
    pub(super) fn recall<T>(&self, bucket: Option<&str>, release: impl FnMut(Share) -> T) -> Vec<T> {
        let holds_of_it =
            |holds: &[Hold]| bucket.is_none_or(|bucket| holds.iter().any(|hold| *hold.bucket.key == *bucket));
        let mut state = self.state();
        let recalled = state.asked.iter_mut().filter(|(holds, _)| holds_of_it(holds));
        let idle = recalled.flat_map(|(_, asked)| asked.idle.drain(..)).map(|(_, share)| share);
        let released: Vec<_> = idle.map(release).collect();
        state.given_back += released.len() as u64;
        released
    }

    /// Releases what nobody came for in time, like [`recall`](Self::recall), and tells whether there is more to come back
    /// for.
    pub(super) fn release_overdue(&self, mut release: impl FnMut(Share)) -> bool {
        let (mut state, now) = (self.state(), Instant::now());
        let State { asked, given_back, tended } = &mut *state;
        asked.retain(|_, asked| {
            for (_, share) in asked.idle.extract_if(.., |(since, _)| now >= *since + LINGER) {
                release(share);
                *given_back += 1;
            }
            !asked.idle.is_empty() || now < asked.tight_until || now < asked.charged_at + LINGER
        });
        *tended = !asked.is_empty();
        *tended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a charge left of its hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left {
    /// All of it: other units were charged.
    Held,
    /// Nothing.
    Nothing,
    /// Nothing, as there was no room for other units.
    NoRoom,
}
