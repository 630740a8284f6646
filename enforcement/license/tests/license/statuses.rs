//! Every status met by every event, as a text for people.

use std::{fs, path::Path};

use chancery_license::{MIGRATIONS, Memory, RunningLicense, State};
use envelope::Claims;
use jiff::{SignedDuration, Timestamp};
use kit::Database;
use store::{Cause, Options, Store};

use crate::support::{Site, claims, days, now, renewed};

/// A deployment with a database, and the time it is there.
struct Bench {
    site: Site,
    store: Store,
    license: RunningLicense,
    now: Timestamp,
    _database: Database,
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Thirty days from now, and ten days of grace.
fn first() -> Claims {
    Claims { grace_days: 10, ..claims() }
}

impl Bench {
    /// Whose license file is that, if any.
    async fn open(license: Option<&Claims>) -> Self {
        let mut site = Site::new();
        site.sources.trust.crl_bundle =
            Some(site.write("lists.pem", &site.vendor.list(&[], now() + days(900))));
        site.sources.path = Some(site.path("license"));
        if let Some(claims) = license {
            site.write("license", &site.sealed(claims));
        }
        let database = Database::sqlite();
        // Two dozen databases are made at once, on whatever machine this is.
        let patience = std::time::Duration::from_mins(2);
        let store = Store::open(database.url(), Options { patience, ..Options::default() }).await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        let license =
            RunningLicense::start(site.sources.clone(), Memory::database(store.clone()), now()).await;
        Self { site, store, license, now: now(), _database: database }
    }

    /// The status after a tick at that time.
    async fn at(&mut self, time: Timestamp) {
        self.now = time;
        self.license.tick(time).await;
    }

    async fn later(&mut self, time: SignedDuration) {
        self.at(self.now + time).await;
    }

    async fn restart(&mut self) {
        self.license.remember(self.now).await;
        let memory = Memory::database(self.store.clone());
        self.license = RunningLicense::start(self.site.sources.clone(), memory, self.now).await;
    }

    async fn install(&mut self, token: &str) -> Option<String> {
        self.license
            .install(token, "operator", Cause::Upkeep, self.now)
            .await
            .err()
            .map(|error| error.to_string())
    }

    fn shown(&self) -> String {
        let snapshot = self.license.snapshot();
        match snapshot.license_id() {
            Some(id) => format!("{:<10} {id}", snapshot.status().as_str()),
            None => snapshot.status().as_str().to_owned(),
        }
    }
}

const STATUSES: &[&str] = &[
    "MISSING",
    "ACTIVE",
    "GRACE",
    "RECOVERY",
    "EXPIRED",
    "INVALID",
    "INVALID, as it has not begun",
    "BLOCKED",
    "REVOKED",
];

/// A deployment in that status.
async fn in_status(status: &str) -> Bench {
    match status {
        "MISSING" => Bench::open(None).await,
        "ACTIVE" => Bench::open(Some(&first())).await,
        "GRACE" => {
            let mut bench = Bench::open(Some(&first())).await;
            bench.at(first().expires_at + HOUR).await;
            bench
        }
        "RECOVERY" => {
            let mut bench = Bench::open(Some(&first())).await;
            bench.site.make_unreadable("license");
            bench.later(HOUR).await;
            bench
        }
        "EXPIRED" => {
            let mut bench = Bench::open(Some(&first())).await;
            bench.at(first().grace_ends_at() + HOUR).await;
            bench
        }
        "INVALID" => {
            let mut bench = Bench::open(Some(&first())).await;
            bench.site.write("license", "garbage");
            bench.later(HOUR).await;
            bench
        }
        "INVALID, as it has not begun" => {
            Bench::open(Some(&Claims { not_before: now() + days(2), ..first() })).await
        }
        "BLOCKED" => {
            let mut bench = Bench::open(Some(&first())).await;
            bench.later(days(2)).await;
            bench.later(-days(1)).await;
            bench
        }
        "REVOKED" => {
            let mut bench = Bench::open(Some(&first())).await;
            revoke(&bench.site);
            bench.later(HOUR).await;
            bench
        }
        other => panic!("there is no status {other}"),
    }
}

fn revoke(site: &Site) {
    site.write("lists.pem", &site.vendor.list(&[&site.vendor.signer], now() + days(900)));
}

const EVENTS: &[&str] = &[
    "the same license is read again",
    "a newer license is read",
    "an older license is read",
    "the file is gone",
    "the file cannot be read",
    "the file is refused",
    "the signer is revoked",
    "the recipient key is gone",
    "the roots are gone",
    "an hour passes",
    "the expiry passes",
    "the grace ends",
    "eight days pass",
    "the clock goes back a minute",
    "the clock goes back a day",
    "the clock catches up two days",
    "a restart",
    "a restart a day back",
    "a restart without the file",
    "a later license is installed",
    "an older license is installed",
    "an early license is not installed",
    "garbage is not installed",
    "installed, then taken away",
];

async fn meet(bench: &mut Bench, event: &str) -> Option<String> {
    let at = bench.now;
    let newer = || renewed("L-2", at);
    let older = || Claims { license_id: "L-0".to_owned(), issued_at: now() - HOUR, ..first() };
    match event {
        "the same license is read again" => {
            bench.site.write("license", &bench.site.sealed(&first()));
            bench.later(HOUR).await;
        }
        "a newer license is read" => {
            bench.site.write("license", &bench.site.sealed_by_second(&newer()));
            bench.later(SignedDuration::from_secs(1)).await;
        }
        "an older license is read" => {
            bench.site.write("license", &bench.site.sealed_by_second(&older()));
            bench.later(SignedDuration::from_secs(1)).await;
        }
        "the file is gone" => {
            bench.site.remove("license");
            bench.later(HOUR).await;
        }
        "the file cannot be read" => {
            bench.site.make_unreadable("license");
            bench.later(HOUR).await;
        }
        "the file is refused" => {
            bench.site.write("license", "garbage");
            bench.later(HOUR).await;
        }
        "the signer is revoked" => {
            revoke(&bench.site);
            bench.later(HOUR).await;
        }
        "the recipient key is gone" => {
            bench.site.remove("key.pem");
            bench.later(HOUR).await;
        }
        "the roots are gone" => {
            bench.site.remove("roots.pem");
            bench.later(HOUR).await;
        }
        "an hour passes" => bench.later(HOUR).await,
        "the expiry passes" => bench.at(at.max(first().expires_at + HOUR)).await,
        "the grace ends" => bench.at(at.max(first().grace_ends_at() + HOUR)).await,
        "eight days pass" => bench.later(days(8)).await,
        "the clock goes back a minute" => bench.later(-SignedDuration::from_mins(1)).await,
        "the clock goes back a day" => bench.later(-days(1)).await,
        "the clock catches up two days" => bench.later(days(2)).await,
        "a restart" => bench.restart().await,
        "a restart a day back" => {
            bench.license.remember(at).await;
            bench.now = at - days(1);
            bench.restart().await;
        }
        "a restart without the file" => {
            bench.site.remove("license");
            bench.restart().await;
        }
        "a later license is installed" => {
            let token = bench.site.sealed_by_second(&renewed("L-3", at));
            return bench.install(&token).await;
        }
        "an older license is installed" => {
            let token = bench.site.sealed_by_second(&older());
            return bench.install(&token).await;
        }
        "an early license is not installed" => {
            let early = Claims { not_before: at + days(1), ..renewed("L-3", at) };
            let token = bench.site.sealed_by_second(&early);
            return bench.install(&token).await;
        }
        "garbage is not installed" => return bench.install("garbage").await,
        "installed, then taken away" => {
            let token = bench.site.sealed_by_second(&renewed("L-3", at));
            let refused = bench.install(&token).await;
            bench.license.uninstall("operator", Cause::Upkeep, at).await.unwrap();
            return refused;
        }
        other => panic!("there is no event `{other}`"),
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_meets_every_event_as_the_golden_text_says() {
    let mut text = String::new();
    for status in STATUSES {
        text += &format!("{status}\n");
        let cells: Vec<_> = EVENTS
            .iter()
            .map(|event| {
                tokio::spawn(async move {
                    let mut bench = in_status(status).await;
                    let before = bench.license.snapshot();
                    assert_eq!(before.status().as_str(), status.split(',').next().unwrap());
                    let refused = meet(&mut bench, event).await;
                    let refused = refused.map(|why| format!("   ({why})")).unwrap_or_default();
                    if !refused.is_empty() {
                        let after = bench.license.snapshot();
                        assert_eq!(after.license_id(), before.license_id(), "a refusal changes nothing");
                    }
                    assert_recovery_is_earned(&bench, event);
                    format!("    {event:<36} {}{refused}", bench.shown())
                })
            })
            .collect();
        for cell in cells {
            text += &format!("{}\n", cell.await.unwrap().trim_end());
        }
        text.push('\n');
    }
    compare(&text);
}

/// Whatever the golden text says: what was read and refused, and what a clock that went back says, is never usable.
fn assert_recovery_is_earned(bench: &Bench, event: &str) {
    let snapshot = bench.license.snapshot();
    let never_usable = [
        "the file is refused",
        "the clock goes back a day",
        "the recipient key is gone",
        "the roots are gone",
    ];
    if never_usable.contains(&event) {
        assert!(!snapshot.status().is_usable(), "{event}: {snapshot:?}");
    }
    if let State::Recovery(state) = snapshot.state() {
        assert!(!bench.site.path("license").is_file());
        assert!(state.until() <= state.held().license().claims().expires_at);
    }
}

#[track_caller]
fn compare(text: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/statuses.txt");
    if fs::read_to_string(&golden).is_ok_and(|golden| golden == text) {
        return;
    }
    let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join("statuses.txt");
    fs::write(&actual, text).unwrap();
    panic!("tests/golden/statuses.txt says otherwise; compare it with {}", actual.display());
}
