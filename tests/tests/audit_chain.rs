//! The audit log of a running server, and what it says of itself after somebody had the database.

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
