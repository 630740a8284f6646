//! Room for connections: so many at a time, and whoever makes the server wait makes room first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

/// The turn of a connection that the server works for.
const WORKED_FOR: u64 = 0;
/// The same, of one that is not listed.
const UNLISTED: u64 = u64::MAX - 1;
/// The turn of a connection that was asked to leave. It has its end before it.
const LEAVING: u64 = u64::MAX;

/// A bounded number of seats.
///
/// **Invariant: whom the server works for stays.** Only a connection that waits for its client (for a request, the rest of
/// one, or to be read) is asked to leave, and the one that has waited longest first. So no number of silent clients keeps
/// one out that speaks.
///
/// Requests come and go without a lock: the list of those that wait is put right when somebody is to leave.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    next_turn: AtomicU64,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    count: usize,
    /// Those that waited when they were last looked at, by the turn they had then. Turns only rise, so whoever still has
    /// the first has waited longest.
    listed: BTreeMap<u64, Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    leave: Notify,
    /// Since when it waits, or what it does instead.
    turn: AtomicU64,
    /// Under which turn it is listed.
    listed: AtomicU64,
}

impl Seats {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let taken = Taken { count: 0, listed: BTreeMap::new() };
        Arc::new(Self { most, next_turn: AtomicU64::new(WORKED_FOR + 1), taken: Mutex::new(taken) })
    }

    /// A seat, of a connection that waits for its client; `None` when the server works for all there are.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Arc<Seat>> {
        let mut taken = self.lock();
        if taken.count >= self.most && !taken.make_room() {
            return None;
        }
        taken.count += 1;
        let turn = self.turn();
        let (turn_now, listed) = (AtomicU64::new(turn), AtomicU64::new(turn));
        let place = Arc::new(Place { leave: Notify::new(), turn: turn_now, listed });
        taken.list(turn, Arc::clone(&place));
        drop(taken);
        let (expects, heads) = (AtomicBool::new(true), AtomicU64::new(0));
        Some(Arc::new(Seat { all: Arc::clone(self), place, expects, heads }))
    }

    /// Asks the connection to leave that has waited longest. Whether there was one.
    pub(crate) fn make_room(&self) -> bool {
        self.lock().make_room()
    }

    fn turn(&self) -> u64 {
        self.next_turn.fetch_add(1, Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn list(&mut self, turn: u64, place: Arc<Place>) {
        place.listed.store(turn, Relaxed);
        self.listed.insert(turn, place);
    }

    /// Its seat counts as free at once: there is one more connection than seats while it leaves.
    fn make_room(&mut self) -> bool {
        while let Some((listed, place)) = self.listed.pop_first() {
            let seen = place.turn.fetch_update(Relaxed, Relaxed, |turn| match turn {
                WORKED_FOR => Some(UNLISTED),
                turn => (turn == listed).then_some(LEAVING),
            });
            match seen {
                Ok(WORKED_FOR) => {}
                Ok(_) => {
                    place.leave.notify_one();
                    self.count -= 1;
                    return true;
                }
                Err(later) => self.list(later, place),
            }
        }
        false
    }
}

/// A connection's seat. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    all: Arc<Seats>,
    place: Arc<Place>,
    /// Whether the next byte belongs to the head of a request.
    expects: AtomicBool,
    /// How many heads have arrived.
    heads: AtomicU64,
}

impl Seat {
    /// It waits for the next request of its client.
    pub(crate) fn waits(&self) {
        let turn = self.all.turn();
        match self.place.turn.fetch_update(Relaxed, Relaxed, |now| (now < UNLISTED).then_some(turn)) {
            Err(LEAVING) => return,
            Err(_) => {
                let mut taken = self.all.lock();
                self.place.turn.store(turn, Relaxed);
                taken.list(turn, Arc::clone(&self.place));
            }
            Ok(_) => {}
        }
        self.expects.store(true, Relaxed);
    }

    /// The head of a request has arrived; its body may not have.
    pub(crate) fn has_head(&self) {
        self.expects.store(false, Relaxed);
        self.heads.fetch_add(1, Relaxed);
    }

    /// A request has arrived as a whole: the server works for it.
    pub(crate) fn works(&self) {
        let worked_for = |turn| (turn < UNLISTED).then_some(WORKED_FOR);
        let _ = self.place.turn.fetch_update(Relaxed, Relaxed, worked_for);
    }

    /// The number of the head that what arrives next belongs to; `None` while it belongs to a body, or to nothing.
    pub(crate) fn expected_head(&self) -> Option<u64> {
        self.expects.load(Relaxed).then(|| self.heads.load(Relaxed))
    }

    /// Ends when the connection is to make room.
    pub(crate) async fn asked_to_leave(&self) {
        self.place.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.all.lock();
        match self.place.turn.load(Relaxed) {
            LEAVING => return,
            UNLISTED => {}
            _ => drop(taken.listed.remove(&self.place.listed.load(Relaxed))),
        }
        taken.count -= 1;
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
        recent.waits();
        let _later = seats.take().unwrap();
        assert!(recent.asked_to_leave().now_or_never().is_some(), "what was passed over is seen again");
        recent.waits();
        assert!(worked_for.asked_to_leave().now_or_never().is_none());
        drop((longest, worked_for));
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
        assert_eq!((taken.count, taken.listed.len()), (0, 0));
    }
}
