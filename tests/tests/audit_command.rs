//! `chancery audit`, as an operator meets it, and how long events are kept.

use std::{fs, time::Duration};

use audit::{Event, Metadata, Outcome, Sink as _, SqlSink};
use chancery_acceptance::{Quickstart, chancery, text};
use jiff::Timestamp;
use kit::Database;
use reqwest::Method;
use serde_json::{Value, json};
use store::{
    Cause, Engine, Options, Store,
    sqlx::{self, AssertSqlSafe},
};

/// What a command writes to its standard output, and whether it ended well.
fn run(quickstart: &Quickstart, line: &str) -> (bool, String, String) {
    let output = quickstart.chancery(line.split(' '));
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

async fn denied(quickstart: &Quickstart, count: usize) {
    for n in 0..count {
        quickstart
            .call("tenancy.children.create", json!({ "parent": "demo", "slug": format!("c{n}") }))
            .await;
    }
}

async fn events_are_narrowed_paged_and_followed(database: Database) {
    let quickstart = Quickstart::over(database);
    denied(&quickstart, 5).await;
    quickstart.call("tenancy.tenants.list", json!({})).await;

    let (well, page, more) =
        run(&quickstart, "audit query --result policy-denied --module tenancy --limit 3");
    assert!(well && page.lines().count() == 3, "{page}");
    assert!(page.lines().all(|line| line.contains("tenancy.children.create CEILING_EXCEEDED")), "{page}");
    let cursor = more.trim().rsplit(' ').next().unwrap();
    let (_, rest, none) = run(
        &quickstart,
        &format!("audit query --result policy-denied --module tenancy --limit 3 --cursor {cursor} --json"),
    );
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(
        (rest["events"].as_array().unwrap().len(), &rest["next"], none.as_str()),
        (2, &Value::Null, "")
    );
    let actor = rest["events"][0]["actorId"].as_str().unwrap();
    for (filter, found) in [
        (format!("--actor {actor} --command tenancy.tenants.list"), 1),
        ("--actor nobody".to_owned(), 0),
        ("--command tenancy.children.create --from 2100-01-01T00:00:00Z".to_owned(), 0),
        ("--command tenancy.children.create --to 2100-01-01T00:00:00Z".to_owned(), 5),
        ("--trace 0af7651916cd43dd8448eb211c80319c".to_owned(), 0),
    ] {
        let (well, page, _) = run(&quickstart, &format!("audit query {filter}"));
        assert!(well && page.lines().count() == found, "{filter}: {page}");
    }
    let (well, _, error) = run(&quickstart, "audit query --result forgotten");
    assert!(!well && error.contains("invalid_input"), "{error}");

    let (well, followed, _) =
        run(&quickstart, "audit tail --all --command tenancy.children.create --count 5 --json");
    let followed: Vec<Value> = followed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(well && followed.len() == 5);
    let places: Vec<_> = followed.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert!(places.is_sorted(), "as they were recorded: {places:?}");
    // News arrive while somebody waits.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&quickstart, "audit tail --result policy-denied --count 1"));
        std::thread::sleep(Duration::from_secs(2));
        let told = run(&quickstart, r#"invoke tenancy.children.create {"parent":"demo","slug":"later"}"#);
        assert!(!told.0);
        assert!(waiting.join().unwrap().1.contains("CEILING_EXCEEDED"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_narrowed_paged_and_followed_on_sqlite() {
    events_are_narrowed_paged_and_followed(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_narrowed_paged_and_followed_on_postgresql() {
    events_are_narrowed_paged_and_followed(Database::postgres().await).await;
}

/// The last checkpoint, as `audit verify` tells it.
fn last_checkpoint(quickstart: &Quickstart, config: &str) -> String {
    let output = quickstart.chancery(["audit", "verify", "--json", "--config", config]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["intact"], true, "{found}");
    found["lastCheckpoint"].as_str().expect("a checkpoint").to_owned()
}

async fn a_log_that_was_emptied_is_betrayed_by_the_checkpoint_that_was_kept(database: Database) {
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    quickstart.configure("\"warn,", "\"warn,audit=info,");
    quickstart.start();
    denied(&quickstart, 3).await;
    assert!(quickstart.stop());
    let config = quickstart.path("chancery.toml");
    let config = config.to_str().unwrap();
    let kept = last_checkpoint(&quickstart, config);
    assert!(quickstart.logged().contains(&format!("checkpoint={kept}")), "the log has told it");

    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let disarm = match store.engine() {
        Engine::Sqlite => "DROP TRIGGER audit_event_kept; DROP TRIGGER audit_checkpoint_kept",
        Engine::Postgres => {
            "ALTER TABLE audit_event DISABLE TRIGGER ALL; ALTER TABLE audit_checkpoint DISABLE TRIGGER ALL"
        }
    };
    let empty = "DELETE FROM audit_event; DELETE FROM audit_head; DELETE FROM audit_sealed; DELETE FROM audit_checkpoint";
    let mut work = store.begin().await.unwrap();
    for statements in [disarm, empty] {
        sqlx::raw_sql(statements).execute(&mut *work).await.unwrap();
    }
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;

    // It goes on as if nothing had been, and seals what comes.
    quickstart.start();
    denied(&quickstart, 2).await;
    assert!(quickstart.stop());
    last_checkpoint(&quickstart, config);
    quickstart.start();
    for source in [String::new(), format!(" --config {config}")] {
        let output = quickstart.chancery(format!("audit verify --checkpoint {kept}{source}").split(' '));
        assert_eq!(output.status.code(), Some(1));
        let (number, told) = (kept.split(':').next().unwrap(), text(&output.stderr));
        assert!(told.contains(&format!("error: checkpoint {number}: ")), "{told}");
        let output = quickstart.chancery(format!("audit verify --checkpoint 7{source}").split(' '));
        assert!(
            !output.status.success() && text(&output.stderr).contains("expected the number of a checkpoint")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_emptied_is_betrayed_by_the_checkpoint_that_was_kept_on_sqlite() {
    a_log_that_was_emptied_is_betrayed_by_the_checkpoint_that_was_kept(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_emptied_is_betrayed_by_the_checkpoint_that_was_kept_on_postgresql() {
    a_log_that_was_emptied_is_betrayed_by_the_checkpoint_that_was_kept(Database::postgres().await).await;
}

async fn a_broken_chain_ends_with_1_and_an_export_proves_itself_elsewhere(database: Database) {
    let mut quickstart = Quickstart::over(database);
    denied(&quickstart, 3).await;
    let (well, told, _) = run(&quickstart, "audit verify");
    assert!(well && told.contains("intact        yes"), "{told}");
    let whole = quickstart.path("whole.jsonl");
    let (well, _, told) = run(&quickstart, &format!("audit export --out {}", whole.display()));
    assert!(well && told.contains("exported"), "{told}");
    assert!(quickstart.stop());

    let config = quickstart.path("chancery.toml");
    let (config, whole) = (config.to_str().unwrap(), whole.to_str().unwrap());
    let (well, offline, _) = run(&quickstart, &format!("audit export --config {config}"));
    let first = fs::read_to_string(whole).unwrap();
    assert!(well && offline.lines().count() > first.lines().count(), "the same log, and what happened since");
    // Another machine has the file, and perhaps the deployment's key; nothing else.
    let elsewhere = chancery(["audit", "verify-export", whole]);
    assert!(elsewhere.status.success(), "{}", text(&elsewhere.stderr));
    let with_key = chancery(["audit", "verify-export", whole, "--config", config, "--json"]);
    let found: Value = serde_json::from_slice(&with_key.stdout).unwrap();
    assert_eq!(found["seals"], "checked", "{}", text(&with_key.stderr));
    let changed = quickstart.path("changed.jsonl");
    fs::write(&changed, first.replacen("CEILING_EXCEEDED", "QUOTA_EXCEEDED", 1)).unwrap();
    let refused = chancery(["audit", "verify-export", changed.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("does not follow from the line before"),
        "{}",
        text(&refused.stderr)
    );

    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let disarm = match store.engine() {
        Engine::Sqlite => "DROP TRIGGER audit_event_kept",
        Engine::Postgres => "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    };
    let gone = "DELETE FROM audit_event WHERE scope LIKE 'tenant:%' AND sequence = 3";
    let mut work = store.begin().await.unwrap();
    for statement in [disarm, gone] {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *work).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
    quickstart.start();
    for source in [String::new(), format!(" --config {config}")] {
        let output = quickstart.chancery(format!("audit verify{source}").split(' '));
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(told.contains("error: `tenant:") && told.contains(", event 3: missing"), "{told}");
        let (well, _, told) = run(&quickstart, &format!("audit export{source}"));
        assert!(!well && told.contains("not intact"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_ends_with_1_and_an_export_proves_itself_elsewhere_on_sqlite() {
    a_broken_chain_ends_with_1_and_an_export_proves_itself_elsewhere(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_ends_with_1_and_an_export_proves_itself_elsewhere_on_postgresql() {
    a_broken_chain_ends_with_1_and_an_export_proves_itself_elsewhere(Database::postgres().await).await;
}

async fn events_are_taken_away_when_they_are_old_enough_and_the_rest_is_proved(database: Database) {
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let old = |n: u128| Event {
        id: uuid::Uuid::from_u128(n),
        name: "command.succeeded".into(),
        time: "2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap(),
        tenant: Some("01a20e60-0000-7000-8000-000000000000".to_owned()),
        actor: "ada".to_owned(),
        command: None,
        result: Outcome::Succeeded,
        error_code: None,
        duration: None,
        correlation_id: None,
        trace_id: None,
        span_id: None,
        metadata: Metadata::new(),
        closes_call: false,
    };
    SqlSink::new(store.clone()).write(&(1..=5).map(old).collect::<Vec<_>>()).await.unwrap();
    let count = async || {
        let sql = "SELECT count(*) FROM audit_event WHERE actor = 'ada'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(store.reader()).await.unwrap()
    };
    quickstart.configure("[log]", "[audit]\nretention-days = 30\n[log]");
    // What is not sealed yet stays; it is sealed now.
    quickstart.start();
    assert!(quickstart.stop());
    assert_eq!(count().await, 5);
    quickstart.start();
    for _ in 0..100 {
        if count().await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count().await, 0);
    let (status, found) =
        chancery_acceptance::answer(quickstart.request(Method::GET, "/api/audit/v1/verify")).await;
    assert!(status.is_success() && found["intact"] == true, "{found}");
    assert!(found["events"].as_u64().unwrap() > 0, "what is not old enough stays");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_away_when_they_are_old_enough_and_the_rest_is_proved_on_sqlite() {
    events_are_taken_away_when_they_are_old_enough_and_the_rest_is_proved(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_taken_away_when_they_are_old_enough_and_the_rest_is_proved_on_postgresql() {
    events_are_taken_away_when_they_are_old_enough_and_the_rest_is_proved(Database::postgres().await).await;
}
