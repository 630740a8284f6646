//! Room for connections: so many at a time, and whoever makes the server wait makes room first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

/// A bounded number of seats.
///
/// **Invariant: whom the server works for stays.** Only a connection that waits for its client (for a request, the rest of
/// one, or to be read) is asked to leave, and the one that has waited longest first. So no number of silent clients keeps
/// one out that speaks.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    count: usize,
    next_turn: u64,
    /// Those that wait for their client, longest first.
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl Seats {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let taken = Taken { count: 0, next_turn: 1, waiting: BTreeMap::new() };
        Arc::new(Self { most, taken: Mutex::new(taken) })
    }

    /// A seat, of a connection that waits for its client; `None` when the server works for all there are.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Arc<Seat>> {
        let mut taken = self.lock();
        if taken.count >= self.most && !taken.make_room() {
            return None;
        }
        taken.count += 1;
        let leave = Arc::new(Notify::new());
        let turn = taken.wait(&leave);
        drop(taken);
        let (turn, expects, heads) = (AtomicU64::new(turn), AtomicBool::new(true), AtomicU64::new(0));
        Some(Arc::new(Seat { all: Arc::clone(self), leave, turn, expects, heads }))
    }

    /// Asks the connection to leave that has waited longest. Whether there was one.
    pub(crate) fn make_room(&self) -> bool {
        self.lock().make_room()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn wait(&mut self, leave: &Arc<Notify>) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.waiting.insert(turn, Arc::clone(leave));
        turn
    }

    /// Its seat counts as free at once: there is one more connection than seats while it leaves.
    fn make_room(&mut self) -> bool {
        let Some((_, longest)) = self.waiting.pop_first() else { return false };
        longest.notify_one();
        self.count -= 1;
        true
    }
}

/// A connection's seat. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    all: Arc<Seats>,
    leave: Arc<Notify>,
    /// Its place among those that wait; 0 while the server works for it.
    turn: AtomicU64,
    /// Whether the next byte belongs to the head of a request.
    expects: AtomicBool,
    /// How many heads have arrived.
    heads: AtomicU64,
}

impl Seat {
    /// It waits for the next request of its client.
    pub(crate) fn waits(&self) {
        let mut taken = self.all.lock();
        if self.is_counted(&mut taken) {
            self.turn.store(taken.wait(&self.leave), Relaxed);
            self.expects.store(true, Relaxed);
        }
    }

    /// The head of a request has arrived; its body may not have.
    pub(crate) fn has_head(&self) {
        self.expects.store(false, Relaxed);
        self.heads.fetch_add(1, Relaxed);
    }

    /// A request has arrived as a whole: the server works for it.
    pub(crate) fn works(&self) {
        let mut taken = self.all.lock();
        if self.is_counted(&mut taken) {
            self.turn.store(0, Relaxed);
        }
    }

    /// Takes it from among those that wait. Not so for whom was asked to leave: it has its end before it.
    fn is_counted(&self, taken: &mut Taken) -> bool {
        let turn = self.turn.load(Relaxed);
        turn == 0 || taken.waiting.remove(&turn).is_some()
    }

    /// The number of the head that what arrives next belongs to; `None` while it belongs to a body, or to nothing.
    pub(crate) fn expected_head(&self) -> Option<u64> {
        self.expects.load(Relaxed).then(|| self.heads.load(Relaxed))
    }

    /// Ends when the connection is to make room.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.all.lock();
        if self.is_counted(&mut taken) {
            taken.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_has_waited_longest_makes_room_and_whom_the_server_works_for_stays() {
        let seats = Seats::new(3);
        let [worked_for, longest, recent] = [(); 3].map(|()| seats.take().unwrap());
        worked_for.works();
        longest.waits();
        recent.waits();
        let newcomer = seats.take().unwrap();
        assert!(longest.asked_to_leave().now_or_never().is_some());
        assert!(recent.asked_to_leave().now_or_never().is_none());
        newcomer.works();
        recent.works();
        assert!(seats.take().is_none(), "the server works for all there are");
        drop((longest, recent));
        assert!(seats.take().is_some());
    }

    #[test]
    fn seats_are_counted_right_whatever_happens() {
        let seats = Seats::new(2);
        for round in 0..1_000 {
            let seat = seats.take().unwrap();
            if round % 2 == 0 {
                seat.works();
            }
            if round % 3 == 0 {
                seat.waits();
            }
            if round % 5 == 0 {
                seats.make_room();
            }
            if round % 7 == 0 {
                seat.works();
            }
        }
        let taken = seats.lock();
        assert_eq!((taken.count, taken.waiting.len()), (0, 0));
    }
}
