//! The hand-off of intents to whoever has the turn, in every order in which threads can meet: the very source of the
//! queue, on the locks of a model checker.

mod sync {
    pub(crate) use loom::sync::Mutex;
}

#[path = "../src/metered/queue.rs"]
mod queue;

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use queue::{Batch, Queue, Turn};

/// What became of the intents of one model.
#[derive(Default)]
struct Fate {
    carried_out: Mutex<Vec<usize>>,
    abandoned: AtomicUsize,
    turns: AtomicUsize,
}

/// Dropped before it is carried out, it counts as abandoned: its caller is denied.
struct Intent {
    number: usize,
    fate: Option<Arc<Fate>>,
}

impl Intent {
    fn new(number: usize, fate: &Arc<Fate>) -> Self {
        Self { number, fate: Some(Arc::clone(fate)) }
    }

    fn carry_out(mut self) {
        if let Some(fate) = self.fate.take() {
            fate.carried_out.lock().unwrap().push(self.number);
        }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if let Some(fate) = self.fate.take() {
            fate.abandoned.fetch_add(1, SeqCst);
        }
    }
}

type Intents = Queue<Intent, Intent>;

fn hand_in(queue: &Arc<Intents>, fate: &Arc<Fate>, number: usize) -> Option<Turn<Intent, Intent>> {
    let intent = Intent::new(number, fate);
    if number.is_multiple_of(2) { queue.admit(intent) } else { queue.charge(intent) }
}

fn carry_out(fate: &Fate, batch: Batch<Intent, Intent>) {
    assert_eq!(fate.turns.fetch_add(1, SeqCst), 0, "two have the turn");
    match batch {
        Batch::Admissions(intents) | Batch::Charges(intents) => {
            intents.into_iter().for_each(Intent::carry_out);
        }
    }
    fate.turns.fetch_sub(1, SeqCst);
}

#[test]
fn every_intent_is_carried_out_once_and_by_one_at_a_time() {
    loom::model(|| {
        let (queue, fate) = (Arc::new(Intents::new()), Arc::new(Fate::default()));
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let (queue, fate) = (queue.clone(), fate.clone());
                thread::spawn(move || {
                    let Some(mut turn) = hand_in(&queue, &fate, number) else { return };
                    while let Some(batch) = turn.next() {
                        carry_out(&fate, batch);
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        let mut carried_out = fate.carried_out.lock().unwrap().clone();
        carried_out.sort_unstable();
        assert_eq!(carried_out, [0, 1, 2], "nobody is left behind");
    });
}

#[test]
fn a_turn_that_dies_denies_who_waits_and_the_next_caller_is_served() {
    loom::model(|| {
        let (queue, fate) = (Arc::new(Intents::new()), Arc::new(Fate::default()));
        let callers: Vec<_> = (0..2)
            .map(|number| {
                let (queue, fate) = (queue.clone(), fate.clone());
                thread::spawn(move || {
                    // Its task ends after one batch at most, whatever waits.
                    let Some(mut turn) = hand_in(&queue, &fate, number) else { return };
                    if let Some(batch) = turn.next() {
                        carry_out(&fate, batch);
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        let mut turn = hand_in(&queue, &fate, 2).expect("nobody has the turn any more");
        while let Some(batch) = turn.next() {
            carry_out(&fate, batch);
        }
        let carried_out = fate.carried_out.lock().unwrap().len();
        assert_eq!(carried_out + fate.abandoned.load(SeqCst), 3, "nobody waits for ever");
    });
}

#[test]
fn what_waits_when_a_turn_is_passed_waits_for_the_next() {
    loom::model(|| {
        let (queue, fate) = (Arc::new(Intents::new()), Arc::new(Fate::default()));
        let dropping = {
            let (queue, fate) = (queue.clone(), fate.clone());
            thread::spawn(move || {
                if let Some(turn) = hand_in(&queue, &fate, 0) {
                    turn.pass();
                }
            })
        };
        let mut turn = hand_in(&queue, &fate, 1);
        while let Some(batch) = turn.as_mut().and_then(Turn::next) {
            carry_out(&fate, batch);
        }
        dropping.join().unwrap();
        let mut turn = hand_in(&queue, &fate, 2).expect("nobody has the turn any more");
        while let Some(batch) = turn.next() {
            carry_out(&fate, batch);
        }
        assert_eq!(fate.carried_out.lock().unwrap().len(), 3);
    });
}
