use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use secrecy::SecretString;
use store::Cause;
use tokio::{
    sync::{broadcast, watch},
    task::spawn_blocking,
};

use crate::{
    LicenseProjection, Memory, Snapshot, Sources,
    engine::{Candidate, Engine, Recall, Turn},
    install::{InstallError, Installation, Preview},
    memory::Note,
    state::State,
    warning::{Notice, Warning},
};

/// How many notices wait for a subscriber that is slow.
const NOTICES: usize = 64;

/// The license this process runs under. Cheap to clone; clones see the same snapshot.
///
/// [`start`](Self::start) it and [`tick`](Self::tick) it every second or so: that one mechanism sees files that change,
/// licenses that are installed, here or by another replica, and edges of time.
#[derive(Clone)]
pub struct RunningLicense {
    shared: Arc<Shared>,
}

struct Shared {
    /// What calls read: one pointer, swapped whole.
    snapshot: ArcSwap<Snapshot>,
    /// Raised after each swap, never before: no snapshot is taken for a later one.
    version: AtomicU64,
    watch: watch::Sender<Arc<Snapshot>>,
    notices: broadcast::Sender<Notice>,
    service: Option<Service>,
}

struct Service {
    sources: Sources,
    memory: Memory,
    /// One turn at a time: memory, then engine, then memory.
    turns: tokio::sync::Mutex<()>,
    engine: Mutex<Engine>,
}

impl RunningLicense {
    /// No license service, so no ceiling: for library use and development (semantics 2.9). Status UNENFORCED.
    pub fn unenforced() -> Self {
        Self::with(Snapshot::new(State::unenforced(), Arc::from([]), None), None)
    }

    /// The license that these sources hold at `now`, without any memory. A bad license is a status, not an error: the
    /// process starts, and says why it refuses.
    pub fn read(sources: Sources, now: Timestamp) -> Self {
        let license = Self::over(sources, Memory::none());
        license.refresh(now);
        license
    }

    /// The license that these sources and this memory hold at `now`.
    pub async fn start(sources: Sources, memory: Memory, now: Timestamp) -> Self {
        let license = Self::over(sources, memory);
        if let Some(service) = &license.shared.service {
            let _turn = service.turns.lock().await;
            let recall = service.recall().await;
            license.turn(service, recall, now).await;
        }
        license
    }

    fn over(sources: Sources, memory: Memory) -> Self {
        let engine = Engine::new(&sources);
        let snapshot = engine.snapshot();
        let turns = tokio::sync::Mutex::new(());
        Self::with(snapshot, Some(Service { sources, memory, turns, engine: Mutex::new(engine) }))
    }

    fn with(snapshot: Snapshot, service: Option<Service>) -> Self {
        let snapshot = Arc::new(snapshot);
        let shared = Shared {
            watch: watch::Sender::new(Arc::clone(&snapshot)),
            snapshot: ArcSwap::new(snapshot),
            version: AtomicU64::new(0),
            notices: broadcast::Sender::new(NOTICES),
            service,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The snapshot as it is now. Whoever holds it sees no later one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// How many snapshots there have been. Whoever asks for this before [`Self::snapshot`] learns by asking again, at
    /// the cost of reading a number, whether there is a later one.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Every snapshot from now on, the latest at least.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.shared.watch.subscribe()
    }

    /// Changes of status and warnings from now on, for audit and metrics. What [`start`](Self::start) finds is told by
    /// the first [`tick`](Self::tick), so subscribe in between.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }

    /// Reads the sources again, whether or not they seem changed, and publishes what they hold, in one step.
    pub fn refresh(&self, now: Timestamp) {
        if let Some(service) = &self.shared.service {
            let mut engine = service.engine();
            engine.look_again();
            self.shared.publish(engine.advance(&service.sources, Recall::Changes(Vec::new()), now));
            for (step, license_id, warning) in engine.unsaid() {
                engine.said(step);
                self.shared.warn(license_id, warning);
            }
        }
    }

    /// Looks after everything that may have changed: files, the database, and the clock. Cheap when nothing has: a few
    /// `stat` calls and one small query. Asking beats being told, because it is right on every file system: inotify says
    /// nothing on network mounts, and watches the old file where a mounted secret is swapped.
    pub async fn tick(&self, now: Timestamp) {
        let Some(service) = &self.shared.service else { return };
        let _turn = service.turns.lock().await;
        let recall =
            if service.memory.is_shared() { service.recall().await } else { Recall::Changes(Vec::new()) };
        self.turn(service, recall, now).await;
    }

    /// Keeps the time and the license now, for a process that is about to stop.
    pub async fn remember(&self, now: Timestamp) {
        let Some(service) = &self.shared.service else { return };
        let _turn = service.turns.lock().await;
        service.engine().note_all(now);
        service.keep().await;
    }

    /// What would happen if this license were installed.
    pub async fn preview(&self, token: &str, now: Timestamp) -> Preview {
        let present = self.snapshot();
        let (candidate, heals) = match self.assess(token, now).await {
            Some(candidate) => (candidate.snapshot(&present), candidate.heals),
            None => (Snapshot::new(State::unenforced(), Arc::from([]), None), false),
        };
        Preview::of(&present, &candidate, heals, now)
    }

    /// The snapshot that this license would make if it were installed, to be looked at. Nothing runs under it.
    pub async fn as_if_installed(&self, token: &str, now: Timestamp) -> Snapshot {
        let present = self.snapshot();
        let candidate = self.assess(token, now).await;
        candidate.map_or_else(|| Snapshot::clone(&present), |candidate| candidate.snapshot(&present))
    }

    /// Installs a license: it is verified, kept in the database, and then published here; replicas see it at their next
    /// tick. A process that dies in between comes back with it. One that is not usable now is refused, also one whose
    /// validity has not begun.
    ///
    /// Where the clock went back, a license that was issued later than any before proves the clock right.
    pub async fn install(
        &self,
        token: &str,
        by: &str,
        cause: impl Into<Cause<'_>>,
        now: Timestamp,
    ) -> Result<Installation, InstallError> {
        let cause = cause.into();
        let service = self.installer()?;
        let _turn = service.turns.lock().await;
        self.catch_up(service, now).await?;
        let present = self.snapshot();
        let candidate = self.assess(token, now).await.ok_or(InstallError::Unenforced)?;
        let judged = candidate.snapshot(&present);
        if !judged.status().is_usable() {
            return Err(InstallError::not_usable(&judged));
        }
        let token = Some(SecretString::from(token.trim()));
        let notes = service.engine().installing(token, Some(&candidate), by, now);
        self.put(service, notes.ok_or(InstallError::NoKey)?, cause, now).await?;
        tracing::info!(license = judged.license_id(), by, "a license was installed");
        Ok(Installation {
            license: LicenseProjection::of(&self.snapshot(), now),
            previous_license_id: present.license_id().map(str::to_owned),
        })
    }

    /// Takes the installed license away, so that the configured sources count again. Whether there was one.
    pub async fn uninstall(
        &self,
        by: &str,
        cause: impl Into<Cause<'_>>,
        now: Timestamp,
    ) -> Result<bool, InstallError> {
        let cause = cause.into();
        let service = self.installer()?;
        let _turn = service.turns.lock().await;
        self.catch_up(service, now).await?;
        let notes = {
            let engine = service.engine();
            if !engine.has_installed() {
                return Ok(false);
            }
            engine.installing(None, None, by, now)
        };
        self.put(service, notes.ok_or(InstallError::NoKey)?, cause, now).await?;
        tracing::info!(by, "the installed license was taken away");
        Ok(true)
    }

    /// When the clock alone will change the status next.
    pub fn next_edge(&self) -> Option<Timestamp> {
        self.snapshot().state().next_edge()
    }

    fn installer(&self) -> Result<&Service, InstallError> {
        let service = self.shared.service.as_ref().ok_or(InstallError::Unenforced)?;
        if service.memory.can_install() { Ok(service) } else { Err(InstallError::NoDatabase) }
    }

    /// A turn, so that what is replaced is what is there.
    async fn catch_up(&self, service: &Service, now: Timestamp) -> Result<(), InstallError> {
        let recall = service.recall().await;
        self.turn(service, recall, now).await;
        if service.engine().remembers() { Ok(()) } else { Err(InstallError::Unreachable) }
    }

    async fn assess(&self, token: &str, now: Timestamp) -> Option<Candidate> {
        let token = SecretString::from(token.trim());
        self.on_a_thread(move |_, service| service.engine().assess(&service.sources, &token, now)).await
    }

    /// Keeps, then publishes.
    async fn put(
        &self,
        service: &Service,
        (installed, seen): (Note, Option<Note>),
        cause: Cause<'_>,
        now: Timestamp,
    ) -> Result<(), InstallError> {
        if !service.memory.install(&installed, seen.as_ref(), cause).await? {
            return Err(InstallError::Conflict);
        }
        let notes = std::iter::once(installed).chain(seen).collect();
        self.on_a_thread(move |shared, service| {
            let mut engine = service.engine();
            shared.publish(engine.adopt(&service.sources, notes, now));
        })
        .await;
        self.follow_up(service, now).await;
        Ok(())
    }

    async fn turn(&self, service: &Service, recall: Recall, now: Timestamp) {
        self.on_a_thread(move |shared, service| {
            let mut engine = service.engine();
            shared.publish(engine.advance(&service.sources, recall, now));
        })
        .await;
        self.follow_up(service, now).await;
    }

    /// Reading files and verifying signatures, where waiting hurts nobody. What is done in there is done, even if the
    /// caller is gone by then: so a turn is published in there, and under the engine's lock, or an older one could be
    /// published last.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &Service) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.shared);
        let done =
            spawn_blocking(move || shared.service.as_ref().map(|service| work(&shared, service))).await;
        match done {
            Ok(done) => done,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime is going down, and takes the turn with it.
            Err(_) => None,
        }
    }

    /// Writes what is to be kept, and gives the warnings that no other replica gave. What is cut short here is done by
    /// the next turn.
    async fn follow_up(&self, service: &Service, now: Timestamp) {
        service.keep().await;
        let unsaid = service.engine().unsaid();
        for (step, license_id, warning) in unsaid {
            let first = service.memory.is_first_to_say(&step, now).await.unwrap_or_else(|error| {
                tracing::warn!(error = chain(&error), "failed to ask whether a warning was given");
                true
            });
            service.engine().said(step);
            if first {
                self.shared.warn(license_id, warning);
            }
        }
    }
}

impl Shared {
    /// Makes a turn visible in one step.
    fn publish(&self, turn: Turn) {
        if let Some(snapshot) = turn.snapshot {
            let snapshot = Arc::new(snapshot);
            self.snapshot.store(Arc::clone(&snapshot));
            self.version.fetch_add(1, Ordering::Release);
            self.watch.send_replace(snapshot);
        }
        let Some(notice) = turn.changed else { return };
        if let Notice::Changed { to, license_id, detail, .. } = &notice {
            let (status, license, detail) = (to.as_str(), license_id.as_deref(), detail.as_deref());
            if to.is_usable() {
                tracing::info!(status, license, detail, "license");
            } else {
                tracing::warn!(status, license, detail, "no license is usable");
            }
        }
        // Nobody may be listening.
        let _ = self.notices.send(notice);
    }

    fn warn(&self, license_id: Option<String>, warning: Warning) {
        let (code, license) = (warning.code.as_str(), license_id.as_deref());
        tracing::warn!(code, license, days_left = warning.days_left, "{}", warning.message);
        let _ = self.notices.send(Notice::Warned { license_id, warning });
    }
}

impl Service {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        // A turn that panicked left what it had; the next one looks again.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn recall(&self) -> Recall {
        let known = self.engine().marks();
        match self.memory.changes(&known).await {
            Ok(changes) => Recall::Changes(changes),
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to recall the license");
                Recall::Failed
            }
        }
    }

    async fn keep(&self) {
        let unkept = self.engine().unkept();
        for (note, replace) in unkept {
            let kept = self.memory.keep(&note, replace).await.map_err(|error| chain(&error));
            if let Err(error) = &kept {
                tracing::warn!(
                    error,
                    what = note.name.as_str(),
                    "failed to keep what the license needs to recover"
                );
            }
            self.engine().kept(&note, kept);
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl fmt::Debug for RunningLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningLicense({})", self.snapshot().status().as_str())
    }
}
