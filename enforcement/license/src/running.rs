use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::{Snapshot, Sources, State};

/// The license this process runs under. Cheap to clone; clones see the same snapshot.
#[derive(Clone)]
pub struct RunningLicense {
    shared: Arc<Shared>,
}

struct Shared {
    snapshot: ArcSwap<Snapshot>,
    sources: Option<Sources>,
}

impl RunningLicense {
    /// No license service, so no ceiling: for library use and development (semantics 2.9). Status UNENFORCED.
    pub fn unenforced() -> Self {
        Self::with(State::Unenforced, None)
    }

    /// The license that these sources hold at `now`. A bad license is a status, not an error: the process starts, and
    /// says why it refuses.
    pub fn read(sources: Sources, now: Timestamp) -> Self {
        let state = sources.read(now);
        let license = Self::with(state, Some(sources));
        license.report();
        license
    }

    fn with(state: State, sources: Option<Sources>) -> Self {
        let snapshot = ArcSwap::from_pointee(Snapshot::new(state));
        Self { shared: Arc::new(Shared { snapshot, sources }) }
    }

    /// The snapshot as it is now. Whoever holds it sees no later one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Reads the sources again and publishes what they hold, in one step.
    pub fn refresh(&self, now: Timestamp) {
        if let Some(sources) = &self.shared.sources {
            self.shared.snapshot.store(Arc::new(Snapshot::new(sources.read(now))));
            self.report();
        }
    }

    /// When the clock alone will change the status next: a beginning or an end of validity ahead.
    pub fn next_edge(&self) -> Option<Timestamp> {
        match self.snapshot().state() {
            State::Active(held) => {
                Some(held.license().claims().expires_at.min(held.license().chain_expires_at()))
            }
            State::Invalid(refusal) => refusal.valid_from,
            State::Unenforced | State::Missing | State::Expired(_) => None,
        }
    }

    fn report(&self) {
        let snapshot = self.snapshot();
        let status = snapshot.status().as_str();
        if let State::Invalid(refusal) = snapshot.state() {
            tracing::warn!(status, stage = refusal.stage, detail = refusal.detail, "the license was refused");
        } else {
            tracing::info!(status, license = snapshot.license_id(), "license");
        }
    }
}

impl fmt::Debug for RunningLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningLicense({})", self.snapshot().status().as_str())
    }
}
