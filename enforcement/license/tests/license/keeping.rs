//! What survives the process, under the same laws in files, SQLite and PostgreSQL.

use std::{fs, path::PathBuf};

use chancery_license::{MIGRATIONS, Memory, RunningLicense, State, WarningCode};
use descriptors::grant::LicenseStatus;
use jiff::{SignedDuration, Timestamp};
use kit::Database;
use store::{Cause, Options, Store, sqlx};

use crate::support::{Site, claims, days, now, renewed};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Where things are kept, and the door by which a test gets at them behind the program's back.
pub(crate) enum Kept {
    Files { last_good: PathBuf, last_seen: PathBuf, _folder: tempfile::TempDir },
    Database { store: Store, _database: Database },
}

impl Kept {
    fn in_files() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        Self::Files { last_good: file("last-good"), last_seen: file("last-seen"), _folder: folder }
    }

    pub(crate) async fn on_sqlite() -> Self {
        Self::of(Database::sqlite()).await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::of(Database::postgres().await).await
    }

    async fn of(database: Database) -> Self {
        let store = Store::open(database.url(), Options::default()).await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        Self::Database { store, _database: database }
    }

    pub(crate) fn memory(&self) -> Memory {
        match self {
            Self::Files { last_good, last_seen, .. } => {
                Memory::files(Some(last_good.clone()), Some(last_seen.clone()))
            }
            Self::Database { store, .. } => Memory::database(store.clone()),
        }
    }

    pub(crate) async fn start(&self, site: &Site, now: Timestamp) -> RunningLicense {
        RunningLicense::start(site.sources.clone(), self.memory(), now).await
    }

    /// Edits the text of a note, which must be there.
    pub(crate) async fn edit(&self, slot: &str, edit: impl Fn(&str) -> String) {
        match self {
            Self::Files { last_good, last_seen, .. } => {
                let path = if slot == "last-good" { last_good } else { last_seen };
                let text = fs::read_to_string(path).unwrap();
                let edited = edit(&text);
                assert_ne!(edited, text);
                fs::write(path, edited).unwrap();
            }
            Self::Database { store, .. } => {
                let text = self.text(slot).await.unwrap();
                let edited = edit(&text);
                assert_ne!(edited, text);
                let mut work = store.begin().await.unwrap();
                sqlx::query("UPDATE license_memory SET content = $2 WHERE slot = $1")
                    .bind(slot)
                    .bind(edited)
                    .execute(&mut *work)
                    .await
                    .unwrap();
                work.commit(Cause::Upkeep).await.unwrap();
            }
        }
    }

    /// The text of a note.
    async fn text(&self, slot: &str) -> Option<String> {
        match self {
            Self::Files { last_good, last_seen, .. } => {
                let path = if slot == "last-good" { last_good } else { last_seen };
                fs::read_to_string(path).ok()
            }
            Self::Database { store, .. } => {
                sqlx::query_scalar("SELECT content FROM license_memory WHERE slot = $1")
                    .bind(slot)
                    .fetch_optional(store.reader())
                    .await
                    .unwrap()
            }
        }
    }

    async fn forget(&self, slot: &str) {
        match self {
            Self::Files { last_good, last_seen, .. } => {
                fs::remove_file(if slot == "last-good" { last_good } else { last_seen }).unwrap();
            }
            Self::Database { store, .. } => {
                let mut work = store.begin().await.unwrap();
                sqlx::query("DELETE FROM license_memory WHERE slot = $1")
                    .bind(slot)
                    .execute(&mut *work)
                    .await
                    .unwrap();
                work.commit(Cause::Upkeep).await.unwrap();
            }
        }
    }
}

pub(crate) fn status(license: &RunningLicense) -> LicenseStatus {
    license.snapshot().status()
}

/// Each law as three tests.
macro_rules! laws {
    ($($(#[$meta:meta])* async fn $name:ident($kept:ident: Kept) $body:block)+) => {$(
        $(#[$meta])*
        async fn $name($kept: Kept) $body

        mod $name {
            use super::Kept;

            #[test]
            fn in_files() {
                kit::run(async { super::$name(Kept::in_files()).await });
            }

            #[test]
            fn on_sqlite() {
                kit::run(async { super::$name(Kept::on_sqlite().await).await });
            }

            #[test]
            fn on_postgres() {
                kit::run(async { super::$name(Kept::on_postgres().await).await });
            }
        }
    )+};
}

laws! {
    async fn a_license_that_cannot_be_read_after_a_restart_is_stood_in_for(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        license.tick(now() + HOUR).await;
        license.remember(now() + HOUR).await;
        site.remove("license");
        let license = kept.start(&site, now() + days(2)).await;
        let snapshot = license.snapshot();
        let State::Recovery(state) = snapshot.state() else { panic!("{snapshot:?}") };
        assert_eq!((state.since(), state.until()), (now() + HOUR, now() + HOUR + days(7)));
        assert_eq!(snapshot.license_id(), Some("L-1"));

        license.tick(state.until() - SignedDuration::from_micros(1)).await;
        assert_eq!(status(&license), LicenseStatus::Recovery);
        license.tick(state.until()).await;
        assert_eq!(status(&license), LicenseStatus::Missing);
        assert!(license.snapshot().state().detail().unwrap().contains("stood in until"));
        // The window does not start anew.
        assert_eq!(status(&kept.start(&site, state.until()).await), LicenseStatus::Missing);
    }

    async fn a_kill_costs_at_most_an_hour_of_recovery(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        for minute in 0..=125 {
            license.tick(now() + SignedDuration::from_mins(minute)).await;
        }
        drop(license);
        site.make_unreadable("license");
        let license = kept.start(&site, now() + days(1)).await;
        let snapshot = license.snapshot();
        let State::Recovery(state) = snapshot.state() else { panic!("{snapshot:?}") };
        assert_eq!(state.since(), now() + HOUR * 2);
    }

    async fn a_snapshot_that_somebody_edited_stands_in_for_nothing(kept: Kept) {
        let site = Site::licensed(&claims());
        kept.start(&site, now()).await;
        kept.edit("last-good", |text| text.replace("\"readAt\":\"2026", "\"readAt\":\"2027")).await;
        site.make_unreadable("license");
        let license = kept.start(&site, now() + HOUR).await;
        assert_eq!(status(&license), LicenseStatus::Invalid);
        let detail = license.snapshot().state().detail().unwrap();
        assert!(detail.contains("source: ") && detail.contains("memory: ") && detail.contains("was changed"), "{detail}");
        let warned = license.snapshot().warnings(now());
        assert!(warned.iter().any(|warning| warning.code == WarningCode::MemoryFails), "{warned:?}");

        // The next good reading takes its place.
        site.write("license", &site.sealed(&claims()));
        license.tick(now() + HOUR).await;
        assert_eq!(status(&license), LicenseStatus::Active);
        site.make_unreadable("license");
        assert_eq!(status(&kept.start(&site, now() + HOUR * 2).await), LicenseStatus::Recovery);
    }

    async fn a_snapshot_is_verified_again_before_it_stands_in(kept: Kept) {
        let mut site = Site::licensed(&claims());
        kept.start(&site, now()).await;
        site.make_unreadable("license");
        assert_eq!(status(&kept.start(&site, now()).await), LicenseStatus::Recovery);

        site.sources.trust.crl_bundle = Some(
            site.write("lists.pem", &site.vendor.list(&[&site.vendor.signer], now() + days(900))),
        );
        assert_eq!(status(&kept.start(&site, now()).await), LicenseStatus::Invalid);
        site.sources.trust.crl_bundle = None;
        site.write("roots.pem", "");
        assert_eq!(status(&kept.start(&site, now()).await), LicenseStatus::Invalid);
    }

    async fn recovery_can_be_turned_off(kept: Kept) {
        let mut site = Site::licensed(&claims());
        site.sources.runtime.recovery_days = 0;
        kept.start(&site, now()).await;
        site.make_unreadable("license");
        assert_eq!(status(&kept.start(&site, now()).await), LicenseStatus::Invalid);
    }

    async fn recovery_never_outlasts_the_license_nor_its_grace(kept: Kept) {
        let expires_at = now() + days(3);
        let site = Site::licensed(&envelope::Claims { expires_at, grace_days: 20, ..claims() });
        let license = kept.start(&site, now()).await;
        site.make_unreadable("license");
        license.tick(now()).await;
        assert_eq!(license.next_edge(), Some(expires_at));
        license.tick(expires_at).await;
        assert_eq!(status(&license), LicenseStatus::Invalid);
    }

    async fn the_time_that_was_seen_last_survives_a_restart(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        let seen = now() + days(5);
        license.tick(seen).await;
        license.remember(seen).await;
        let license = kept.start(&site, now() + days(1)).await;
        let snapshot = license.snapshot();
        let State::Blocked(state) = snapshot.state() else { panic!("{snapshot:?}") };
        assert_eq!((state.rollback().now(), state.rollback().last_seen()), (now() + days(1), Some(seen)));
        let detail = snapshot.state().detail().unwrap();
        assert!(detail.contains("2026-06-02T00:00:00Z") && detail.contains("2026-06-06T00:00:00Z"), "{detail}");

        // By itself, once time has caught up; the tolerance is five minutes.
        license.tick(seen - SignedDuration::from_mins(5) - SignedDuration::from_secs(1)).await;
        assert_eq!(status(&license), LicenseStatus::Blocked);
        license.tick(seen - SignedDuration::from_mins(5)).await;
        assert_eq!(status(&license), LicenseStatus::Active);
    }

    async fn a_kill_costs_at_most_a_minute_of_the_time_that_was_seen(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        for seconds in 0..=130 {
            license.tick(now() + SignedDuration::from_secs(seconds)).await;
        }
        drop(license);
        let license = kept.start(&site, now() - SignedDuration::from_mins(10)).await;
        let snapshot = license.snapshot();
        let State::Blocked(state) = snapshot.state() else { panic!("{snapshot:?}") };
        let seen = state.rollback().last_seen().unwrap();
        assert!(seen > now() + SignedDuration::from_secs(130 - 60), "{seen}");
    }

    async fn a_time_that_somebody_edited_blocks_until_a_later_license_comes(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now() + days(20)).await;
        license.remember(now() + days(20)).await;
        kept.edit("last-seen", |text| text.replace("2026-06-21", "2026-06-02")).await;
        for at in [now() + days(2), now() + days(20), now() + days(25)] {
            let license = kept.start(&site, at).await;
            let snapshot = license.snapshot();
            let State::Blocked(state) = snapshot.state() else { panic!("{snapshot:?}") };
            assert_eq!(state.rollback().last_seen(), None);
            assert!(snapshot.state().detail().unwrap().contains("was changed"));
        }
        let license = kept.start(&site, now() + days(25)).await;
        site.write("license", &site.sealed(&claims()));
        license.tick(now() + days(25)).await;
        assert_eq!(status(&license), LicenseStatus::Blocked, "the same license proves nothing");
        site.write("license", &site.sealed(&renewed("L-2", now() + days(24))));
        license.tick(now() + days(25)).await;
        assert_eq!(status(&license), LicenseStatus::Active);
        let license = kept.start(&site, now() + days(25)).await;
        assert_eq!(status(&license), LicenseStatus::Active, "and that is kept");
    }

    async fn the_notes_bear_witness_to_each_others_times(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now() + days(20)).await;
        license.remember(now() + days(20)).await;
        kept.forget("last-seen").await;
        assert_eq!(status(&kept.start(&site, now() + days(2)).await), LicenseStatus::Blocked);
    }

    async fn a_clock_that_is_before_the_issue_of_the_license_blocks_without_any_memory(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now() - HOUR).await;
        assert_eq!(status(&license), LicenseStatus::Blocked);
        license.tick(now()).await;
        assert_eq!(status(&license), LicenseStatus::Active);
    }

    async fn a_jump_of_the_clock_is_healed_by_a_license_that_was_issued_later_and_by_no_other(kept: Kept) {
        let site = Site::licensed(&claims());
        let license = kept.start(&site, now()).await;
        // Somebody set the clock a year ahead, and back.
        license.tick(now() + days(365)).await;
        license.remember(now() + days(365)).await;
        let today = now() + days(1);
        license.tick(today).await;
        assert_eq!(status(&license), LicenseStatus::Blocked);
        for (id, issued_at, expected) in [
            ("L-same", now(), LicenseStatus::Blocked),
            ("L-future", today + HOUR, LicenseStatus::Blocked),
            ("L-later", today, LicenseStatus::Active),
        ] {
            site.write("license", &site.sealed(&renewed(id, issued_at)));
            license.tick(today).await;
            assert_eq!(status(&license), expected, "{id}");
        }
        let license = kept.start(&site, today + HOUR).await;
        assert_eq!(status(&license), LicenseStatus::Active);
        // The guard stands from the new time on.
        license.remember(today + HOUR).await;
        assert_eq!(status(&kept.start(&site, today).await), LicenseStatus::Blocked);
    }

    async fn a_step_of_the_ladder_is_not_announced_again_after_a_restart(kept: Kept) {
        let site = Site::licensed(&claims());
        let mut announced = Vec::new();
        for hours in [0, 1, 24, 25] {
            let license = kept.start(&site, now() + HOUR * hours).await;
            let mut notices = license.notices();
            for seconds in 1..4 {
                license.tick(now() + HOUR * hours + SignedDuration::from_secs(seconds)).await;
            }
            announced.push(std::iter::from_fn(|| notices.try_recv().ok()).count());
        }
        assert_eq!(announced, [1, 0, 0, 0]);
    }

    async fn what_is_kept_shows_no_key_and_the_sealed_token_only(kept: Kept) {
        let site = Site::licensed(&claims());
        kept.start(&site, now()).await;
        let (good, seen) = (kept.text("last-good").await.unwrap(), kept.text("last-seen").await.unwrap());
        let key = site.recipient.to_pem().unwrap();
        let key: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [good, seen] {
            assert!(!text.contains("tenancy.subtenants") && key.iter().all(|line| !text.contains(line)), "{text}");
        }
    }
}

#[test]
fn the_files_are_for_their_owner_only_and_written_whole() {
    use std::os::unix::fs::PermissionsExt;
    kit::run(async {
        let site = Site::licensed(&claims());
        let kept = Kept::in_files();
        kept.start(&site, now()).await;
        let Kept::Files { last_good, last_seen, _folder: folder } = &kept else { unreachable!() };
        for path in [last_good, last_seen] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing partial is left");
    });
}

#[test]
fn memory_that_cannot_be_written_is_a_warning_and_takes_nothing_away() {
    kit::run(async {
        let site = Site::licensed(&claims());
        let nowhere = site.path("no-such-folder").join("note");
        let memory = Memory::files(Some(nowhere.clone()), Some(nowhere));
        let license = RunningLicense::start(site.sources.clone(), memory, now()).await;
        license.tick(now()).await;
        assert_eq!(status(&license), LicenseStatus::Active);
        let warned = license.snapshot().warnings(now());
        assert!(warned.iter().any(|warning| warning.code == WarningCode::MemoryFails), "{warned:?}");
    });
}
