//! The database takes no audit events for a while, and more come than may wait: callers wait for it, or events are dropped
//! and counted, as `audit.when-full` says. On both engines, through the real server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chancery_acceptance::Quickstart;
use kit::Database;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use store::{Engine, Options, Store, Work, sqlx};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const CALLERS: u64 = 32;
/// How many events may wait, beside the 1024 of the recorder's own queue.
const BACKLOG: u64 = 1000;
/// A few warnings of the license may be among the events that are written, or dropped.
const OTHERS: u64 = 5;
const CALLS: u64 = 4096;

/// A server of which so many calls are made, and how many were answered.
struct Called {
    quickstart: Quickstart,
    store: Store,
    callers: JoinSet<()>,
    answered: Arc<AtomicU64>,
}

impl Called {
    /// From now on the calls are made, and the database takes no event as long as the work is kept.
    async fn without_room(database: Database, when_full: &str) -> (Self, Work) {
        let mut quickstart = Quickstart::over(database);
        assert!(quickstart.stop());
        let audit = format!(
            "[audit]\nbacklog = {BACKLOG}\nwhen-full = \"{when_full}\"\n\n[server]\nrequest-timeout-seconds = 120"
        );
        quickstart.configure("[server]", &audit);
        quickstart.start();
        let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
        // The one writer of SQLite is whoever has begun.
        let mut work = store.begin().await.unwrap();
        if store.engine() == Engine::Postgres {
            sqlx::query("LOCK TABLE audit_event IN EXCLUSIVE MODE").execute(&mut *work).await.unwrap();
        }

        let answered = Arc::<AtomicU64>::default();
        let client = Client::new();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let credentials = quickstart.credentials();
            let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
            let (url, token) = (text("url"), text("token"));
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            callers.spawn(async move {
                for n in 0..CALLS / CALLERS {
                    let request = client.post(format!("{url}/api/commands/tenancy.tenants.list"));
                    let request = request.bearer_auth(&token).json(&json!({ "limit": 1 }));
                    let request = request.header("x-correlation-id", format!("full-{caller}-{n}"));
                    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let called = Self { quickstart, store, callers, answered };
        let failing = async {
            while called.metric("chancery_audit_sink_failing{sink=\"database\"}").await != 1 {
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(Duration::from_mins(1), failing)
            .await
            .expect("the server sees that its events are not taken");
        (called, work)
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    async fn metric(&self, name: &str) -> u64 {
        let text =
            self.quickstart.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is measured");
        value.trim().parse().expect("a whole number")
    }

    async fn dropped(&self) -> u64 {
        self.metric("chancery_audit_dropped_total").await
    }

    /// Every call is answered.
    async fn all_answered(&mut self) {
        let callers = std::mem::take(&mut self.callers);
        timeout(Duration::from_mins(1), callers.join_all()).await.expect("every call is answered");
    }

    /// How many events each of the calls has once all is written.
    async fn events(&mut self) -> BTreeMap<String, i64> {
        assert!(self.quickstart.stop());
        let sql = "SELECT correlation_id, count(*) FROM audit_event WHERE correlation_id LIKE 'full-%'
                   GROUP BY correlation_id";
        let events: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(self.store.reader()).await.unwrap();
        events.into_iter().collect()
    }
}

async fn callers_wait_where_it_blocks_and_nothing_is_dropped(database: Database) {
    let (mut called, work) = Called::without_room(database, "block").await;
    // Nobody is answered any more, and goes on not to be.
    let began = Instant::now();
    let mut seen = (called.answered(), Instant::now());
    while seen.1.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(100)).await;
        if called.answered() != seen.0 {
            seen = (called.answered(), Instant::now());
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{} calls were answered", seen.0);
    }
    assert!((BACKLOG..CALLS - CALLERS).contains(&seen.0), "{} calls were answered, the others wait", seen.0);
    assert_eq!(called.dropped().await, 0);

    drop(work);
    called.all_answered().await;
    assert_eq!(called.dropped().await, 0);
    let events = called.events().await;
    assert_eq!(events.len() as u64, CALLS, "every call has an event");
    assert!(events.values().all(|count| *count == 1));
}

async fn nobody_waits_where_it_drops_and_what_is_dropped_is_counted(database: Database) {
    let (mut called, work) = Called::without_room(database, "drop").await;
    called.all_answered().await;
    assert!(called.dropped().await > 0);

    drop(work);
    let written = async {
        while called.metric("chancery_audit_backlog{sink=\"database\"}").await > 0 {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_mins(1), written).await.expect("what waited is written");
    let dropped = called.dropped().await;
    let events = called.events().await;
    let written = events.len() as u64;
    assert!(written + OTHERS > BACKLOG, "{written} events were written");
    let told = written + dropped;
    assert!(
        (CALLS..CALLS + OTHERS).contains(&told),
        "every call has an event, or is counted: {written}, {dropped}"
    );
    assert!(events.values().all(|count| *count == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_wait_where_it_blocks_and_nothing_is_dropped_on_sqlite() {
    callers_wait_where_it_blocks_and_nothing_is_dropped(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_wait_where_it_blocks_and_nothing_is_dropped_on_postgresql() {
    callers_wait_where_it_blocks_and_nothing_is_dropped(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_where_it_drops_and_what_is_dropped_is_counted_on_sqlite() {
    nobody_waits_where_it_drops_and_what_is_dropped_is_counted(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_where_it_drops_and_what_is_dropped_is_counted_on_postgresql() {
    nobody_waits_where_it_drops_and_what_is_dropped_is_counted(Database::postgres().await).await;
}
