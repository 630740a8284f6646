//! What a process keeps for its next calls, in every order in which threads can meet: the very source, beside that of the
//! queue, on the locks of a model checker. The database has room for one call.

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

#[expect(dead_code, reason = "the model needs a part of it")]
#[path = "../src/metered/sql/kept.rs"]
mod kept;
#[expect(dead_code, reason = "the model needs a part of it")]
#[path = "../src/metered/queue.rs"]
mod queue;

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;

use kept::{Kept, Left};
use queue::{Batch, Queue};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bucket {
    key: Arc<str>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Hold {
    bucket: Bucket,
}

#[derive(Debug)]
struct Share {
    holds: Arc<[Hold]>,
    expires_at: i64,
}

const fn full_second(instant: i64) -> i64 {
    instant
}

enum Admission {
    Reserve(Arc<Mutex<Option<bool>>>),
    Release,
}

struct Process {
    kept: Kept,
    queue: Arc<Queue<Admission, ()>>,
    room: Mutex<u32>,
}

impl Process {
    /// The only unit is kept for calls that nobody makes.
    fn new() -> Self {
        let process = Self { kept: Kept::default(), queue: Arc::new(Queue::new()), room: Mutex::new(0) };
        let holds = [Hold { bucket: Bucket { key: "calls".into() } }].into();
        let share = Share { holds, expires_at: 0 };
        assert!(process.kept.charged([(share, Left::Held)].into_iter()));
        process
    }

    fn admit(&self, admission: Admission) {
        let Some(mut turn) = self.queue.admit(admission) else { return };
        while let Some(batch) = turn.next() {
            let (Batch::Admissions(admissions), mut room) = (batch, self.room.lock().unwrap()) else {
                return;
            };
            for admission in admissions {
                match admission {
                    Admission::Release => *room += 1,
                    Admission::Reserve(answer) => {
                        let admitted = *room > 0;
                        *room -= u32::from(admitted);
                        *answer.lock().unwrap() = Some(admitted);
                    }
                }
            }
        }
    }

    fn recall(&self) {
        self.kept.recall(Some("calls"), |_| self.admit(Admission::Release));
    }

    /// Asks as `SqlQuota` does: again, as long as something was given back since it asked.
    fn reserve(&self) -> bool {
        loop {
            let given_back = self.kept.given_back();
            let answer = Arc::new(Mutex::new(None));
            self.admit(Admission::Reserve(Arc::clone(&answer)));
            let admitted = loop {
                if let Some(admitted) = *answer.lock().unwrap() {
                    break admitted;
                }
                thread::yield_now();
            };
            if admitted {
                return true;
            }
            self.recall();
            if self.kept.given_back() == given_back {
                return false;
            }
        }
    }
}

#[test]
fn nobody_is_denied_what_another_is_just_giving_back() {
    loom::model(|| {
        let process = Arc::new(Process::new());
        let giving_back = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.recall())
        };
        assert!(process.reserve(), "there is a unit that nobody uses");
        giving_back.join().unwrap();
    });
}

#[test]
fn what_is_kept_goes_to_one_call() {
    loom::model(|| {
        let process = Arc::new(Process::new());
        let asked: Arc<[Hold]> = [Hold { bucket: Bucket { key: "calls".into() } }].into();
        let taking = {
            let process = Arc::clone(&process);
            thread::spawn(move || process.kept.take(&asked, 0).is_some())
        };
        let reserved = process.reserve();
        assert!(taking.join().unwrap() != reserved, "one of the two has the unit");
    });
}
