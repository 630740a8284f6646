//! Callers hand their intents in; at any time at most one of them has the turn to carry out what has gathered.
//!
//! Locks come from `super::sync`, so that `tests/handoff.rs` can put this very file under a model checker.

use std::mem;
use std::sync::Arc;

use super::sync::Mutex;

/// What waits for its turn: intents that must be seen by all, and intents that must also survive.
pub(crate) struct Queue<A, C> {
    state: Mutex<State<A, C>>,
}

struct State<A, C> {
    admissions: Vec<A>,
    charges: Vec<C>,
    taken: bool,
}

/// One batch, in the order of arrival.
pub(crate) enum Batch<A, C> {
    Admissions(Vec<A>),
    Charges(Vec<C>),
}

/// The right, and the duty, to carry out batches until there are none. Dropped before that (its task panicked, or its
/// runtime ended), it takes what waits with it: the callers are denied, and the next one gets a new turn.
#[must_use = "nobody else has the turn"]
pub(crate) struct Turn<A, C> {
    queue: Option<Arc<Queue<A, C>>>,
    admitted_last: bool,
}

impl<A, C> Queue<A, C> {
    pub(crate) fn new() -> Self {
        let state = State { admissions: Vec::new(), charges: Vec::new(), taken: false };
        Self { state: Mutex::new(state) }
    }

    /// Hands in an admission. Whoever is given a turn must see to it.
    pub(crate) fn admit(self: &Arc<Self>, admission: A) -> Option<Turn<A, C>> {
        self.hand_in(|state| state.admissions.push(admission))
    }

    /// Hands in a charge. Whoever is given a turn must see to it.
    pub(crate) fn charge(self: &Arc<Self>, charge: C) -> Option<Turn<A, C>> {
        self.hand_in(|state| state.charges.push(charge))
    }

    fn hand_in(self: &Arc<Self>, push: impl FnOnce(&mut State<A, C>)) -> Option<Turn<A, C>> {
        let taken = self.with(|state| {
            push(state);
            mem::replace(&mut state.taken, true)
        });
        (!taken).then(|| Turn { queue: Some(Arc::clone(self)), admitted_last: false })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State<A, C>) -> T) -> T {
        // Nothing panics under the lock, and what is there stays whole if it did.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state)
    }
}

impl<A, C> Turn<A, C> {
    /// The next batch; or, when nothing waits, nothing, and the turn is over.
    ///
    /// Admissions and charges take turns, so that neither starves; everything that waits goes at once, so that a
    /// transaction is shared by as many callers as possible.
    pub(crate) fn next(&mut self) -> Option<Batch<A, C>> {
        let queue = self.queue.as_ref()?;
        let batch = queue.with(|state| {
            let charges_first = self.admitted_last || state.admissions.is_empty();
            if charges_first && !state.charges.is_empty() {
                return Some(Batch::Charges(mem::take(&mut state.charges)));
            }
            if !state.admissions.is_empty() {
                return Some(Batch::Admissions(mem::take(&mut state.admissions)));
            }
            state.taken = false;
            None
        });
        self.admitted_last = matches!(batch, Some(Batch::Admissions(_)));
        if batch.is_none() {
            self.queue = None;
        }
        batch
    }

    /// Ends the turn and lets what waits wait for the next one.
    pub(crate) fn pass(mut self) {
        if let Some(queue) = self.queue.take() {
            queue.with(|state| state.taken = false);
        }
    }
}

impl<A, C> Drop for Turn<A, C> {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        let abandoned = queue.with(|state| {
            state.taken = false;
            (mem::take(&mut state.admissions), mem::take(&mut state.charges))
        });
        // Outside the lock: an intent that is dropped may hand in another one.
        drop(abandoned);
    }
}
