//! What it costs to link events: the audit sink beside plain batched inserts of the same rows; and what a call pays for it.

#[path = "dispatch/cases.rs"]
#[expect(dead_code, reason = "the other benches call all cases")]
mod cases;
mod machine;

use std::time::Instant;

use audit::{Event, Limits, MIGRATIONS, Metadata, Outcome, Range, Recorder, SafeValue, Sink as _, SqlSink};
use cases::{Case, Ready};
use chancery_benches::{Figure, Goal};
use jiff::Timestamp;
use kernel::Ambient;
use machine::{clock, introduce};
use store::sqlx::{self, AssertSqlSafe};
use store::{Cause, Options, Store};

/// What the recorder offers its sink at once.
const BATCH: usize = 256;
/// Batches of one measurement.
const BATCHES: usize = 20;
/// Measurements; plain and chained take turns, so that both meet the same machine.
const ROUNDS: usize = 15;
/// Rows of one statement, as many as the sink's.
const ROWS: usize = 64;
const COLUMNS: usize = 14;

/// The same columns without what the chain needs, and indexes for the same queries.
const PLAIN: &str = "
    CREATE TABLE plain_event (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, time BIGINT NOT NULL, tenant TEXT, actor TEXT NOT NULL, command TEXT,
        module TEXT, result TEXT NOT NULL, error_code TEXT, duration BIGINT, correlation_id TEXT, trace_id TEXT,
        span_id TEXT, metadata TEXT NOT NULL
    );
    CREATE INDEX plain_event_time ON plain_event (time, id);
    CREATE INDEX plain_event_tenant ON plain_event (tenant, time, id);
    CREATE INDEX plain_event_trace ON plain_event (trace_id);
";

fn main() {
    introduce();
    println!(
        "Events per second in transactions of {BATCH}, by how many tenants they concern: median of {ROUNDS} rounds of"
    );
    println!(
        "{BATCHES} transactions. Share: median over the rounds of chained by plain, which take turns. SQLite waits for the"
    );
    println!("disk, PostgreSQL (a private cluster, fsync off) does not.\n");
    println!(
        "| events per second | tenants | plain | chained | share | goal | |\n|---|--:|--:|--:|--:|--:|---|"
    );
    let sqlite = kit::Database::sqlite();
    let mut verified = vec![kit::run(compare("SQLite", sqlite.url(), 1))];
    let postgres = kit::run(kit::Database::postgres());
    verified.extend([1, 4].map(|writers| kit::run(compare("PostgreSQL", postgres.url(), writers))));

    println!("\n| verifying | events | per second |\n|---|--:|--:|");
    println!("{}", verified.join("\n"));

    println!(
        "\nOne caller, by the clock of each call: what stands between it and the handler, the audit included.\n"
    );
    println!("| µs per call, p50 | bare | audited | added | goal | |\n|---|--:|--:|--:|--:|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for (engine, url) in [("SQLite", sqlite.url()), ("PostgreSQL", postgres.url())] {
        runtime.block_on(call(engine, url));
    }
}

/// What auditing into the database adds to a call: to one that looks, which hands its event in, and to a change, which is
/// answered when its event is written.
async fn call(engine: &str, url: &str) {
    let store = Store::open(url, Options::default()).await.expect("the same database");
    let recorder = || Recorder::start(SqlSink::new(store.clone()), Limits::default());
    let bare = Ready::of(Case::Bare, cases::testkit()).await;
    for (case, name, burst, goal) in [
        (Case::Licensed, "a look", 256, Some(Goal::AtMost(2.0))),
        (Case::Metered, "a change, answered when its event is written", 16, None),
    ] {
        let recorder = recorder();
        let audited = Ready::of(case, cases::testkit().recording_to(recorder.clone())).await;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS * 4 {
            let (bare, audited) = (time(&bare, burst).await, time(&audited, burst).await);
            recorder.flush().await;
            if round > 0 {
                without.extend(bare);
                with.extend(audited);
            }
        }
        assert_eq!(recorder.dropped(), 0, "every event is kept");
        let (without, with) = (median(without), median(with));
        let added = Figure::new(
            "what auditing adds to a call's p50",
            &format!("{engine}, {name}"),
            "µs",
            with - without,
        );
        let added = goal.map_or(added.clone(), |goal| added.goal(goal));
        println!("| {} | {without:.2} | {with:.2} | {:.2} | {} |", added.case, added.value, judged(&added));
        added.tell();
    }
}

/// Microseconds of each call of a burst.
async fn time(ready: &Ready, burst: usize) -> Vec<f64> {
    let mut times = Vec::with_capacity(burst);
    for _ in 0..burst {
        let start = clock();
        ready.call().await;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times
}

/// Answers the line on verifying what was chained.
async fn compare(engine: &str, url: &str, writers: usize) -> String {
    for scopes in [1, 16, 256] {
        let store = Store::open(url, Options::default()).await.expect("a fresh database");
        store.migrate(MIGRATIONS).await.expect("the tables of the audit");
        let plain_table = format!("DROP TABLE IF EXISTS plain_event; {PLAIN}");
        let mut work = store.begin().await.expect("a unit of work");
        sqlx::raw_sql(AssertSqlSafe(plain_table)).execute(&mut *work).await.expect("the plain table");
        work.commit(Cause::Upkeep).await.expect("the plain table");

        let ambient = Ambient::system();
        let (mut plain, mut chained) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let with = |kind| batches_of(&ambient, writers, scopes, kind);
            let by_plain = measure(&store, with("plain"), async |store, batches| {
                for batch in batches {
                    insert(&store, &batch).await;
                }
            });
            plain.push(by_plain.await);
            let by_chain = measure(&store, with("chain"), async |store, batches| {
                let mut sink = SqlSink::new(store);
                for batch in batches {
                    sink.write(&batch).await.expect("the sink takes every batch");
                }
            });
            chained.push(by_chain.await);
            if round == 0 {
                // The first only warms up.
                plain.clear();
                chained.clear();
            }
        }
        let shares: Vec<_> = plain.iter().zip(&chained).map(|(plain, chained)| chained / plain).collect();
        let case = format!("{engine}, {}", count(writers, "writer"));
        let share = Figure::median(
            "audit, chained by plain",
            &format!("{case}, {}", count(scopes, "tenant")),
            "x",
            &shares,
        )
        .goal(Goal::AtLeast(0.7));
        let (plain, chained) = (median(plain), median(chained));
        println!(
            "| {case} | {scopes} | {plain:.0} | {chained:.0} | {:.2} | {} |",
            share.value,
            judged(&share)
        );
        share.tell();
    }
    let store = Store::open(url, Options::default()).await.expect("the same database");
    let start = clock();
    let verified =
        audit::AuditLog::new(store).verify(&Range::default(), &[]).await.expect("a look at every link");
    assert!(verified.intact, "{:?}", verified.broken);
    let speed = per_second(verified.events, start);
    format!("| {engine} | {} | {speed:.0} |", verified.events)
}

/// The last two cells of a row.
fn judged(figure: &Figure) -> String {
    match figure.goal {
        Some(goal @ (Goal::AtMost(bound) | Goal::AtLeast(bound))) => {
            let how = if matches!(goal, Goal::AtMost(_)) { "at most" } else { "at least" };
            let verdict = if goal.is_met_by(figure.value) { "met" } else { "**missed**" };
            format!("{how} {bound} | {verdict}")
        }
        None => " | ".to_owned(),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What each writer is to write: events of scopes of its own.
fn batches_of(ambient: &Ambient, writers: usize, scopes: usize, kind: &str) -> Vec<Vec<Vec<Event>>> {
    let batch = |writer: usize| {
        (0..BATCH).map(|n| event(ambient, &format!("{kind}-{writer}-{}", n % scopes))).collect()
    };
    (0..writers).map(|writer| (0..BATCHES).map(|_| batch(writer)).collect()).collect()
}

/// A denial as the gates record it.
fn event(ambient: &Ambient, tenant: &str) -> Event {
    let time: Timestamp = ambient.now();
    let id = ambient.uuid();
    Event {
        id,
        name: "license.command.denied".into(),
        time,
        tenant: Some(tenant.to_owned()),
        actor: "operator:01999999-9999-7999-8999-999999999999".to_owned(),
        command: Some("tenancy.tenants.create".into()),
        result: Outcome::PolicyDenied,
        error_code: Some("NOT_ENTITLED".into()),
        duration: Some(std::time::Duration::from_micros(217)),
        correlation_id: Some(id.to_string()),
        trace_id: Some(id.simple().to_string()),
        span_id: Some("00f067aa0ba902b7".to_owned()),
        metadata: Metadata::new()
            .with("deploymentId", SafeValue::text("bench"))
            .with("licenseStatus", SafeValue::text("ACTIVE"))
            .with("entitlementKey", SafeValue::text("chancery.tenancy.tenants.create"))
            .with("licenseId", SafeValue::text("L-2026-000017")),
        closes_call: false,
    }
}

async fn measure<W>(store: &Store, work: Vec<Vec<Vec<Event>>>, write: W) -> f64
where
    W: AsyncFn(Store, Vec<Vec<Event>>),
{
    let events: usize = work.iter().flatten().map(Vec::len).sum();
    let start = clock();
    let writers = work.into_iter().map(|batches| write(store.clone(), batches));
    futures_util::future::join_all(writers).await;
    per_second(events as u64, start)
}

async fn insert(store: &Store, events: &[Event]) {
    let mut work = store.begin().await.expect("a unit of work");
    for rows in events.chunks(ROWS) {
        let row = |row: usize| {
            let places: Vec<_> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
            format!("({})", places.join(", "))
        };
        let places: Vec<_> = (0..rows.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO plain_event (id, name, time, tenant, actor, command, module, result, error_code, duration,
             correlation_id, trace_id, span_id, metadata) VALUES {}",
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for event in rows {
            query = query
                .bind(event.id.to_string())
                .bind(&*event.name)
                .bind(event.time.as_microsecond())
                .bind(&event.tenant)
                .bind(&event.actor)
                .bind(event.command.as_deref())
                .bind(event.module())
                .bind(event.result.as_str())
                .bind(event.error_code.as_deref())
                .bind(event.duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
                .bind(&event.correlation_id)
                .bind(&event.trace_id)
                .bind(&event.span_id)
                .bind(serde_json::to_string(&event.metadata).expect("metadata is JSON"));
        }
        query.execute(&mut *work).await.expect("the rows are taken");
    }
    work.commit(Cause::Upkeep).await.expect("the rows are kept");
}

#[expect(clippy::cast_precision_loss, reason = "fewer events than a float counts exactly")]
fn per_second(events: u64, start: Instant) -> f64 {
    events as f64 / start.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
