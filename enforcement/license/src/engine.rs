//! What the running license knows, and one turn of it: look at what changed, judge it, say what follows. No await in
//! here, so a turn happens whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envelope::StateKey;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Snapshot, Sources,
    clock::{ClockGuard, Rollback, SafeClock},
    memory::{Content, Good, Installed, Marks, Name, Note, Row, Seen},
    opening::Opener,
    reading::{Reading, SourceKind, Unreadable},
    source::{Found, Slot, Stamp, later},
    state::State,
    warning::{Notice, Warning},
};

/// How often the latest time is kept.
const KEEP_TIME: SignedDuration = SignedDuration::from_mins(1);
/// How often it is kept that the license was read well. It is long, and recovery counts in days.
const KEEP_LICENSE: SignedDuration = SignedDuration::from_hours(1);
/// How often a license that is refused is looked at again, although nothing changed: the clock may have healed it.
const RETRY: SignedDuration = SignedDuration::from_mins(1);

/// Everything the running license knows.
pub(crate) struct Engine {
    guard: ClockGuard,
    ladder: Arc<[u32]>,
    opener: Option<Opener>,
    stamps: Vec<Stamp>,
    /// The files have been read again since they last changed. A change that comes in the same tick of the file system's
    /// clock as the one before would otherwise go unnoticed.
    settled: bool,
    rows: BTreeMap<Name, Row>,
    /// Rows that were not looked into yet, for want of the key.
    unread: BTreeSet<Name>,
    /// Notes that are still to be written.
    unkept: BTreeMap<Name, (Note, bool)>,
    recalled: Recalled,
    installed: Slot<Installed>,
    good: KnownGood,
    unreadable: Option<Unreadable>,
    look_again_at: Option<Timestamp>,
    /// Warnings that were given, by what makes each one.
    said: BTreeSet<String>,
    unsaid: BTreeMap<String, (Option<String>, Warning)>,
    /// There was a turn, so somebody may be listening.
    is_heard: bool,
    trouble: Option<String>,
    kept_time: Option<Timestamp>,
    kept_license: Option<Timestamp>,
    state: State,
}

/// The license that was last read well.
struct KnownGood {
    note: Option<Good>,
    /// It is not kept yet.
    is_new: bool,
    /// Somebody changed the note that was kept.
    is_changed: bool,
    /// The source still says so.
    is_confirmed: bool,
}

/// How the memory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recalled {
    /// Not once so far: whether a license is installed is not known.
    Never,
    Well,
    Failed,
}

/// What the memory says at the beginning of a turn.
pub(crate) enum Recall {
    /// The notes that changed.
    Changes(Vec<(Name, Option<Row>)>),
    /// It does not answer.
    Failed,
}

/// What follows from a turn.
pub(crate) struct Turn {
    /// What every call sees from now on, where that changed.
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) changed: Option<Notice>,
}

/// A warning that was not given yet: what makes it one, the license, and the warning.
pub(crate) type Unsaid = (String, Option<String>, Warning);

/// A license that somebody wants to install, judged as if it were.
pub(crate) struct Candidate {
    pub(crate) state: State,
    /// The clock as it would be from then on.
    guard: ClockGuard,
    /// It proves that the clock is right, which was in doubt.
    pub(crate) heals: bool,
}

impl Engine {
    pub(crate) fn new(sources: &Sources) -> Self {
        Self {
            guard: ClockGuard::new(sources.runtime.clock_rollback_tolerance),
            ladder: sources.runtime.warning_days.clone().into(),
            opener: None,
            stamps: Vec::new(),
            settled: false,
            rows: BTreeMap::new(),
            unread: BTreeSet::new(),
            unkept: BTreeMap::new(),
            recalled: Recalled::Never,
            installed: Slot::Empty,
            good: KnownGood { note: None, is_new: false, is_changed: false, is_confirmed: false },
            unreadable: None,
            look_again_at: None,
            said: BTreeSet::new(),
            unsaid: BTreeMap::new(),
            is_heard: false,
            trouble: None,
            kept_time: None,
            kept_license: None,
            state: State::missing(None),
        }
    }

    /// One turn.
    pub(crate) fn advance(&mut self, sources: &Sources, recall: Recall, now: Timestamp) -> Turn {
        let before = self.snapshot();
        let files_changed = self.look_at_files(sources);
        let notes_changed = self.take_in(recall);
        let due = self.look_again_at.is_some_and(|at| at <= now);
        let looked = files_changed || notes_changed || due || self.reads_otherwise(sources);
        if looked {
            self.state = self.look(sources, now);
            self.look_again_at = self.next_look(now);
        } else {
            let clock = self.check_held(now);
            let state = std::mem::replace(&mut self.state, State::missing(None));
            self.state = state.at(clock.as_ref().map_err(|rollback| *rollback));
        }
        self.note_time(now);
        let turn = self.turn(&before, looked, now);
        self.write_notes(now);
        turn
    }

    /// The warnings that are to be given.
    pub(crate) fn unsaid(&self) -> Vec<Unsaid> {
        self.unsaid.iter().map(|(step, (id, warning))| (step.clone(), id.clone(), warning.clone())).collect()
    }

    /// A warning was given, here or by another replica.
    pub(crate) fn said(&mut self, step: String) {
        self.unsaid.remove(&step);
        self.said.insert(step);
        // So that it is not said again after a restart.
        self.kept_time = None;
    }

    /// The notes that are to be written; whether each is to replace what is there.
    pub(crate) fn unkept(&self) -> Vec<(Note, bool)> {
        self.unkept.values().cloned().collect()
    }

    /// A note is written, or could not be.
    pub(crate) fn kept(&mut self, note: &Note, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                if self.unkept.get(&note.name).is_some_and(|(now, _)| now.row.mark == note.row.mark) {
                    self.unkept.remove(&note.name);
                }
                self.trouble = None;
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// A license was installed: this is what the memory says from then on.
    pub(crate) fn adopt(&mut self, sources: &Sources, notes: Vec<Note>, now: Timestamp) -> Turn {
        let rows = notes.into_iter().map(|note| {
            self.unkept.remove(&note.name);
            (note.name, Some(note.row))
        });
        let rows = rows.collect();
        self.advance(sources, Recall::Changes(rows), now)
    }

    /// How far each note is known.
    pub(crate) fn marks(&self) -> Marks {
        self.rows.iter().map(|(name, row)| (*name, row.mark)).collect()
    }

    /// Notes everything now, whether or not it is due.
    pub(crate) fn note_all(&mut self, now: Timestamp) {
        (self.kept_time, self.kept_license) = (None, None);
        self.note_time(now);
        self.write_notes(now);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.state.clone(), Arc::clone(&self.ladder), self.memory_trouble())
    }

    /// Whether the memory could be read in the last turn.
    pub(crate) fn remembers(&self) -> bool {
        self.recalled == Recalled::Well
    }

    /// Judges a license as if it were installed.
    pub(crate) fn assess(&self, sources: &Sources, token: &SecretString, now: Timestamp) -> Candidate {
        let opener = Opener::load(sources);
        let reading = sources.verify(SourceKind::Installed, token, &opener, now);
        let mut guard = self.guard.clone();
        let mut heals = false;
        let state = match reading {
            Reading::Verified(license) => {
                let issued_at = license.issued_at();
                if guard.check(now, None).is_err() && guard.is_healed_by(issued_at, now) {
                    guard.heal(issued_at, now);
                    heals = true;
                }
                match guard.check(now, Some(issued_at)) {
                    Ok(clock) => license.settle(&clock),
                    Err(rollback) => license.block(rollback),
                }
            }
            Reading::Refused(refused) => refused.refuse(),
            Reading::Revoked(license) => license.revoke(),
            Reading::Unreadable(source) => source.give_up(),
            Reading::Absent(nothing) => nothing.miss(),
        };
        Candidate { state, guard, heals }
    }

    /// The notes that install a license, or none where there is no key to protect them. Without a token nothing is
    /// installed from then on.
    pub(crate) fn installing(
        &self,
        token: Option<SecretString>,
        candidate: Option<&Candidate>,
        by: &str,
        now: Timestamp,
    ) -> Option<(Note, Option<Note>)> {
        let key = self.key()?;
        let guard = candidate.map_or(&self.guard, |candidate| &candidate.guard);
        let installed = Installed {
            version: self.rows.get(&Name::Installed).map_or(0, |row| row.mark.version) + 1,
            token,
            at: now,
            by: by.to_owned(),
            previous: self.snapshot().license_id().map(str::to_owned),
            issued_at: candidate.and_then(|candidate| issued_at(&candidate.state)),
            epoch: guard.epoch(),
        };
        let heals = candidate.is_some_and(|candidate| candidate.heals);
        let seen = heals.then(|| self.seen(guard, now).note(&key, now));
        Some((installed.note(&key, now), seen))
    }

    /// The next turn looks at everything.
    pub(crate) fn look_again(&mut self) {
        self.opener = None;
    }

    /// Whether a license is installed.
    pub(crate) const fn has_installed(&self) -> bool {
        matches!(self.installed, Slot::Kept(Installed { token: Some(_), .. }) | Slot::Changed)
    }

    fn key(&self) -> Option<Arc<StateKey>> {
        self.opener.as_ref().and_then(Opener::state_key).cloned()
    }

    /// Whether a file changed since the last turn, or must be looked at once more.
    fn look_at_files(&mut self, sources: &Sources) -> bool {
        let stamps = sources.stamps();
        let changed = self.opener.is_none() || stamps != self.stamps;
        let looking = changed || !self.settled;
        self.settled = !changed;
        self.stamps = stamps;
        if looking {
            self.opener = Some(Opener::load(sources));
        }
        looking
    }

    /// Takes in what the memory says. Whether that asks for a look at the sources.
    fn take_in(&mut self, recall: Recall) -> bool {
        let before = self.recalled;
        match recall {
            Recall::Failed if self.recalled == Recalled::Never => {}
            Recall::Failed => self.recalled = Recalled::Failed,
            Recall::Changes(rows) => {
                self.recalled = Recalled::Well;
                for (name, row) in rows {
                    // What is about to be replaced no longer matters.
                    if self.unkept.get(&name).is_some_and(|(_, replace)| *replace) {
                        continue;
                    }
                    match row {
                        Some(row) => self.rows.insert(name, row),
                        None => self.rows.remove(&name),
                    };
                    self.unread.insert(name);
                }
            }
        }
        let installed = self.unread.contains(&Name::Installed);
        if let Some(key) = self.key() {
            // Each once: what this process knows does not become doubtful when the key is replaced.
            for name in std::mem::take(&mut self.unread) {
                match name {
                    Name::LastSeen => self.recall_time(&key),
                    Name::Installed => self.recall_installed(&key),
                    Name::LastGood => self.recall_license(&key),
                }
            }
        }
        before != self.recalled || installed
    }

    fn recall_time(&mut self, key: &StateKey) {
        match Seen::recall(key, self.rows.get(&Name::LastSeen)) {
            Slot::Kept(Seen { time, issued_at, epoch, said }) => {
                self.guard.recall(time, issued_at, epoch);
                self.said.extend(said);
            }
            Slot::Changed => self.guard.distrust(),
            Slot::Empty | Slot::Unreadable => {}
        }
    }

    fn recall_installed(&mut self, key: &StateKey) {
        self.installed = Installed::recall(key, self.rows.get(&Name::Installed));
        if let Slot::Kept(Installed { at, issued_at, epoch, .. }) = &self.installed {
            self.guard.witness(*at, *issued_at, *epoch);
        }
    }

    fn recall_license(&mut self, key: &StateKey) {
        match Good::recall(key, self.rows.get(&Name::LastGood)) {
            Slot::Kept(good) => {
                self.good.is_changed = false;
                self.guard.witness(good.read_at, good.issued_at, good.epoch);
                let is_later = self.good.note.as_ref().is_none_or(|known| known.mark() < good.mark());
                // What this process reads itself counts more than what another one read.
                if is_later && !self.good.is_confirmed {
                    self.good.note = Some(good);
                }
            }
            Slot::Changed => self.good.is_changed = true,
            Slot::Empty | Slot::Unreadable => self.good.is_changed = false,
        }
    }

    /// The source could not be read when last looked at, and that is no longer so, or for another cause.
    fn reads_otherwise(&self, sources: &Sources) -> bool {
        self.unreadable.as_ref().is_some_and(
            |known| !matches!(sources.find(&self.installed_token()), Found::Unreadable(now) if now == *known),
        )
    }

    fn installed_token(&self) -> Slot<SecretString> {
        match (&self.installed, self.recalled) {
            (_, Recalled::Never)
            | (Slot::Kept(Installed { token: Some(_), .. }) | Slot::Changed, Recalled::Failed) => {
                Slot::Unreadable
            }
            (Slot::Kept(Installed { token: Some(token), .. }), Recalled::Well) => Slot::Kept(token.clone()),
            (Slot::Changed, Recalled::Well) => Slot::Changed,
            (Slot::Kept(Installed { token: None, .. }) | Slot::Empty | Slot::Unreadable, _) => Slot::Empty,
        }
    }

    /// Reads the source, verifies it, and settles what it is good for.
    fn look(&mut self, sources: &Sources, now: Timestamp) -> State {
        let found = sources.find(&self.installed_token());
        let token = match &found {
            Found::Token(_, token) => Some(token.clone()),
            Found::Nothing | Found::Unreadable(_) | Found::Refused(_) => None,
        };
        let reading = self.judge(sources, found, now);
        self.unreadable = None;
        self.good.is_confirmed = false;
        match reading {
            Reading::Verified(license) => {
                let issued_at = license.issued_at();
                let clock = self.guard.check(now, Some(issued_at));
                let read_at = clock.as_ref().map_or(now, SafeClock::now);
                self.good.note = Some(Good {
                    token,
                    source: license.source(),
                    issued_at: Some(issued_at),
                    read_at,
                    epoch: self.guard.epoch(),
                });
                self.good.is_new = true;
                self.good.is_changed = false;
                self.good.is_confirmed = true;
                match clock {
                    Ok(clock) => {
                        self.guard.advance(&clock, Some(issued_at));
                        license.settle(&clock)
                    }
                    Err(rollback) => {
                        self.guard.note_issue(issued_at);
                        license.block(rollback)
                    }
                }
            }
            Reading::Unreadable(source) => {
                self.unreadable = Some(source.clone());
                self.stand_in(sources, source, now)
            }
            Reading::Refused(license) => license.refuse(),
            Reading::Revoked(license) => license.revoke(),
            Reading::Absent(nothing) => nothing.miss(),
        }
    }

    /// Verifies what was found by the time to judge by. Where the clock went back, a license may prove it right, or may
    /// open only by the time that was seen before; it is not usable then, but it is known.
    fn judge(&mut self, sources: &Sources, found: Found, now: Timestamp) -> Reading {
        let Some(opener) = &self.opener else { return Reading::Absent(crate::reading::Absent::new()) };
        let rollback = match self.guard.check(now, None) {
            Ok(clock) => return sources.judge(found, opener, clock.now()),
            Err(rollback) => rollback,
        };
        let reading = sources.judge(found.clone(), opener, now);
        match (&reading, rollback.last_seen()) {
            (Reading::Verified(license), _) => {
                let issued_at = license.issued_at();
                if self.guard.is_healed_by(issued_at, now) {
                    self.guard.heal(issued_at, now);
                    (self.kept_time, self.kept_license) = (None, None);
                }
                reading
            }
            (Reading::Refused(_), Some(last_seen)) => sources.judge(found, opener, last_seen),
            _ => reading,
        }
    }

    /// The license that was last read well, in place of one that cannot be read.
    fn stand_in(&mut self, sources: &Sources, source: Unreadable, now: Timestamp) -> State {
        let unable = |why: &str| Unreadable { detail: format!("{}; {why}", source.detail), ..source.clone() };
        if self.good.is_changed && self.good.note.is_none() {
            return unable("memory: the last-good snapshot was changed, so it does not stand in").give_up();
        }
        let (Some(opener), Some(good)) = (&self.opener, &self.good.note) else { return source.give_up() };
        let (Some(token), true) = (&good.token, good.source == source.source) else {
            return source.give_up();
        };
        if sources.runtime.recovery_days == 0 {
            return source.give_up();
        }
        let at = self.guard.check(now, None).map_or(now, |clock| clock.now());
        let verified = match sources.verify(good.source, token, opener, at) {
            Reading::Verified(license) => license,
            Reading::Refused(crate::reading::Refused(refusal))
            | Reading::Revoked(crate::reading::TakenBack(refusal)) => {
                return unable(&format!("the last-good snapshot is refused too: {refusal}")).give_up();
            }
            Reading::Absent(_) | Reading::Unreadable(_) => return source.give_up(),
        };
        let read_at = good.read_at.min(at);
        let issued_at = verified.issued_at();
        let last_good = verified.last_good(read_at, later(read_at, sources.runtime.recovery_days));
        match self.guard.check(now, Some(issued_at)) {
            Ok(clock) => source.recover(last_good, &clock),
            Err(rollback) => source.block(last_good, rollback),
        }
    }

    fn check_held(&self, now: Timestamp) -> Result<SafeClock, Rollback> {
        self.guard.check(now, issued_at(&self.state))
    }

    /// When the source must be looked at although nothing changed.
    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            State::Invalid(_) | State::Revoked(_) => {
                Some(now.saturating_add(RETRY).unwrap_or(Timestamp::MAX))
            }
            state => state.held().map(|held| held.license().reopen_at()),
        }
    }

    /// A clock that is safe has been seen, and what was read is still there.
    fn note_time(&mut self, now: Timestamp) {
        let Ok(clock) = self.check_held(now) else { return };
        self.guard.advance(&clock, issued_at(&self.state));
        let well = self.recalled != Recalled::Failed;
        if let Some(good) = self.good.note.as_mut().filter(|_| self.good.is_confirmed && well) {
            (good.read_at, good.epoch) = (clock.now(), self.guard.epoch());
        }
    }

    /// Puts down what is due to be kept.
    fn write_notes(&mut self, now: Timestamp) {
        let Some(key) = self.key() else { return };
        let is_due =
            |kept: Option<Timestamp>, every| kept.is_none_or(|kept| now.duration_since(kept) >= every);
        let safe = self.guard.check(now, None).is_ok();

        if safe && is_due(self.kept_time, KEEP_TIME) {
            // The first one in an epoch takes the place of what was there before, and so does one over a broken one.
            let there = self.rows.get(&Name::LastSeen);
            let epoch = self.guard.epoch();
            let replace = there.is_some()
                && !matches!(Seen::recall(&key, there), Slot::Kept(there) if there.epoch == epoch);
            let note = self.seen(&self.guard, now).note(&key, now);
            self.put_down(note, replace);
            self.kept_time = Some(now);
        }
        if self.good.is_new || is_due(self.kept_license, KEEP_LICENSE) {
            let Some(good) = &self.good.note else { return };
            let there = Good::recall(&key, self.rows.get(&Name::LastGood));
            let is_kept =
                matches!(&there, Slot::Kept(there) if same(there.token.as_ref(), good.token.as_ref()));
            if !is_kept || is_due(self.kept_license, KEEP_LICENSE) {
                let note = good.note(&key, now);
                self.put_down(note, !is_kept);
                self.kept_license = Some(now);
            }
            self.good.is_new = false;
        }
    }

    fn put_down(&mut self, note: Note, replace: bool) {
        let name = note.name;
        let replace = replace || self.unkept.get(&name).is_some_and(|(_, replace)| *replace);
        self.rows.insert(name, note.row.clone());
        self.unkept.insert(name, (note, replace));
    }

    fn seen(&self, guard: &ClockGuard, now: Timestamp) -> Seen {
        Seen {
            time: guard.seen().unwrap_or(now),
            issued_at: guard.issued(),
            epoch: guard.epoch(),
            said: self.said.iter().cloned().collect(),
        }
    }

    fn memory_trouble(&self) -> Option<String> {
        if self.good.is_changed {
            return Some("the last-good snapshot was changed, or the recipient key was replaced".to_owned());
        }
        match self.recalled {
            Recalled::Failed => Some("the memory of the license cannot be read".to_owned()),
            Recalled::Never | Recalled::Well => self.trouble.clone(),
        }
    }

    fn turn(&mut self, before: &Snapshot, looked: bool, now: Timestamp) -> Turn {
        let snapshot = self.snapshot();
        let (from, to) = (before.status(), snapshot.status());
        let is_news = from != to
            || before.license_id() != snapshot.license_id()
            || before.state().detail() != snapshot.state().detail();
        let changed = is_news.then(|| Notice::Changed {
            from,
            to,
            license_id: snapshot.license_id().map(str::to_owned),
            detail: snapshot.state().detail(),
        });
        let heard = std::mem::replace(&mut self.is_heard, true);
        for warning in snapshot.warnings(now).into_iter().filter(|_| heard) {
            let step = snapshot.step_of(&warning);
            if !self.said.contains(&step) {
                self.unsaid.insert(step, (snapshot.license_id().map(str::to_owned), warning));
            }
        }
        let is_new = looked || is_news || before.memory != snapshot.memory;
        Turn { snapshot: is_new.then_some(snapshot), changed }
    }
}

fn issued_at(state: &State) -> Option<Timestamp> {
    state.held().map(|held| held.license().claims().issued_at)
}

fn same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(ExposeSecret::expose_secret) == other.map(ExposeSecret::expose_secret)
}
