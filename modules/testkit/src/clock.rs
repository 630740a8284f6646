use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use kernel::{Ambient, Clock, OsEntropy};

/// A clock that stands still until the test lets time pass.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn at(instant: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(instant.as_microsecond())))
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        let micros = i64::try_from(time.as_micros()).expect("a test passes less than an age");
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn ambient(&self) -> Ambient {
        Ambient::new(self.clone(), OsEntropy)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).expect("a test stays on the calendar")
    }
}
