//! The audit log of a running server: what it says of itself after somebody had the database, and what becomes of calls and
//! their events while the database refuses events.

use chancery_acceptance::{Quickstart, answer};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::sqlx::{self, AssertSqlSafe};
use store::{Cause, Engine, Options, Store};

async fn verified(quickstart: &Quickstart, query: &str) -> Value {
    let path = format!("/api/audit/v1/verify{query}");
    let (status, body) = answer(quickstart.request(Method::GET, &path)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn what_was_recorded_is_proved_until_somebody_changes_it(database: Database) {
    let mut quickstart = Quickstart::over(database);
    for _ in 0..5 {
        let (status, _) = quickstart.call("tenancy.tenants.list", json!({ "limit": 1 })).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (_, page) =
        quickstart.call("platform.audit.query", json!({ "commandId": "tenancy.tenants.list" })).await;
    let changed = &page["events"][2];
    let sequence = changed["sequence"].as_u64().unwrap();
    let scope = changed["tenantId"].as_str().map_or("platform".to_owned(), |id| format!("tenant:{id}"));
    quickstart.stop();
    quickstart.start();
    let sound = verified(&quickstart, "").await;
    assert_eq!((&sound["intact"], &sound["broken"]), (&json!(true), &json!([])));
    assert!(sound["events"].as_u64().unwrap() >= 6);
    quickstart.stop();

    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let change = format!(
        "UPDATE audit_event SET actor = 'nobody' WHERE id = '{}'",
        changed["eventId"].as_str().unwrap()
    );
    let mut work = store.begin().await.unwrap();
    let refused = sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&mut *work).await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    drop(work);
    let disarm = match store.engine() {
        Engine::Sqlite => "DROP TRIGGER audit_event_unchanged",
        Engine::Postgres => "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    };
    let mut work = store.begin().await.unwrap();
    for statement in [disarm, &change] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *work).await.unwrap();
    }
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;

    quickstart.start();
    let found = verified(&quickstart, "").await;
    assert_eq!(found["intact"], false);
    let expected = json!([
        { "scope": scope, "sequence": sequence, "eventId": changed["eventId"], "defect": "changed" }
    ]);
    assert_eq!(found["broken"], expected);
    let before = verified(&quickstart, &format!("?scope={scope}&toSequence={}", sequence - 1)).await;
    assert_eq!(before["intact"], true, "what came before is still proved");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_proved_until_somebody_changes_it_on_sqlite() {
    what_was_recorded_is_proved_until_somebody_changes_it(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_is_proved_until_somebody_changes_it_on_postgresql() {
    what_was_recorded_is_proved_until_somebody_changes_it(Database::postgres().await).await;
}

async fn rename(store: &Store, from: &str, to: &str) {
    let mut work = store.begin().await.unwrap();
    let sql = format!("ALTER TABLE {from} RENAME TO {to}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
}

/// What the database takes part in as a sink: the value of a metric, and who is named by `/readyz`.
async fn seen(quickstart: &Quickstart, metric: &str) -> (u64, Value) {
    let text = quickstart.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse().ok());
    let (status, health) = answer(quickstart.request(Method::GET, "/readyz")).await;
    assert_eq!(status, StatusCode::OK, "{health}");
    (value.unwrap_or_else(|| panic!("no {metric}")), health)
}

async fn a_database_that_refuses_events_changes_no_answer_and_loses_none(database: Database) {
    let quickstart = Quickstart::over(database);
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    rename(&store, "audit_event", "audit_event_aside").await;
    // What the quickstart did itself came before.
    let began = kernel::Ambient::system().now();
    let (status, body) = quickstart.call("tenancy.tenants.create", json!({ "slug": "meanwhile" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for _ in 0..5 {
        let (status, body) = quickstart.call("tenancy.tenants.list", json!({ "limit": 1 })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let refused = json!({ "parent": "demo", "slug": "a" });
        let (status, body) = quickstart.call("tenancy.children.create", refused).await;
        assert_eq!(status, StatusCode::PAYMENT_REQUIRED, "{body}");
    }
    let (waiting, health) = seen(&quickstart, "chancery_audit_backlog{sink=\"database\"}").await;
    assert!(waiting >= 11, "{waiting}");
    assert_eq!(health, json!({ "status": "degraded", "failing": ["audit.database"] }));
    assert_eq!(seen(&quickstart, "chancery_audit_sink_failing{sink=\"database\"}").await.0, 1);

    rename(&store, "audit_event_aside", "audit_event").await;
    store.close().await;
    for _ in 0..300 {
        if seen(&quickstart, "chancery_audit_backlog{sink=\"database\"}").await.0 == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(seen(&quickstart, "chancery_audit_dropped_total").await, (0, json!({ "status": "ok" })));
    for (command, calls) in
        [("tenancy.tenants.create", 1), ("tenancy.tenants.list", 5), ("tenancy.children.create", 5)]
    {
        let since = json!({ "commandId": command, "from": began });
        let (_, page) = quickstart.call("platform.audit.query", since).await;
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), calls, "{command} has one event for each call: {events:?}");
    }
    assert_eq!(verified(&quickstart, "").await["intact"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_events_changes_no_answer_and_loses_none_on_sqlite() {
    a_database_that_refuses_events_changes_no_answer_and_loses_none(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_events_changes_no_answer_and_loses_none_on_postgresql() {
    a_database_that_refuses_events_changes_no_answer_and_loses_none(Database::postgres().await).await;
}
