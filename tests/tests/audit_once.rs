//! One event for each call, and one `license.command.denied` for each denial (semantics 6.2), under 64 callers at once: in
//! both modes, on both engines, through the real server. And what was answered is in the log, even when the process is
//! killed right after.

use std::collections::BTreeMap;

use chancery_acceptance::{Quickstart, Vendor, answer, generous, under};
use kit::Database;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use store::{
    Options, Store,
    sqlx::{self, Row as _},
};

const CALLERS: usize = 64;
const CALLS: usize = 6;

/// The operator of a quickstart, with one client for all calls.
struct Operator {
    client: Client,
    url: String,
    token: String,
}

impl Operator {
    fn of(quickstart: &Quickstart) -> Self {
        let credentials = quickstart.credentials();
        let text = |name: &str| credentials[name].as_str().expect("a text").to_owned();
        Self { client: Client::new(), url: text("url"), token: text("token") }
    }

    fn call(&self, id: &str, correlation: &str, input: &Value) -> RequestBuilder {
        let request = self.client.post(format!("{}/api/commands/{id}", self.url));
        request.bearer_auth(&self.token).header("x-correlation-id", correlation).json(input)
    }
}

/// What is called, and with which status it ends.
fn call(operator: &Operator, caller: usize, n: usize) -> (RequestBuilder, u16) {
    let (id, input, status) = match n % 3 {
        // Beyond the edition's ceiling.
        0 => ("tenancy.children.create", json!({ "parent": "demo", "slug": format!("c{caller}-{n}") }), 402),
        1 => ("tenancy.tenants.list", json!({ "limit": 1 }), 200),
        // Malformed.
        _ => ("tenancy.tenants.create", json!({ "slug": 1 }), 400),
    };
    (operator.call(id, &format!("once-{caller}-{n}"), &input), status)
}

async fn events(quickstart: &Quickstart) -> BTreeMap<String, Vec<(String, String, Option<String>, Value)>> {
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let sql = "SELECT correlation_id, name, result, error_code, metadata FROM audit_event
               WHERE correlation_id LIKE 'once-%'";
    let rows = sqlx::query(sql).fetch_all(store.reader()).await.unwrap();
    store.close().await;
    let mut events = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        let metadata: String = row.get(4);
        let event = (row.get(1), row.get(2), row.get(3), serde_json::from_str(&metadata).unwrap());
        events.entry(row.get(0)).or_default().push(event);
    }
    events
}

async fn each_call_has_one_event(database: Database, mode: &str) {
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    quickstart
        .configure(r#"missing-descriptor-mode = "warn""#, &format!(r#"missing-descriptor-mode = "{mode}""#));
    quickstart.start();
    let operator = Operator::of(&quickstart);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let calls: Vec<_> = (0..CALLS).map(|n| call(&operator, caller, n)).collect();
        callers.spawn(async move {
            for (request, expected) in calls {
                let (status, body) = answer(request).await;
                assert_eq!(status, expected, "{body}");
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(quickstart.stop());

    let events = events(&quickstart).await;
    assert_eq!(events.len(), CALLERS * CALLS, "every call has one");
    for (call, events) in &events {
        let [(name, result, code, metadata)] = &events[..] else { panic!("{call} has {events:?}") };
        let n: usize = call.rsplit('-').next().unwrap().parse().unwrap();
        let (expected, ended) = match n % 3 {
            0 => ("license.command.denied", "policy-denied"),
            1 => ("command.succeeded", "succeeded"),
            _ => ("command.failed", "failed"),
        };
        assert_eq!((name.as_str(), result.as_str()), (expected, ended), "{call}");
        let facts: Vec<_> = metadata.as_object().unwrap().keys().map(String::as_str).collect();
        if n.is_multiple_of(3) {
            assert_eq!(code.as_deref(), Some("CEILING_EXCEEDED"));
            assert_eq!(facts, ["deploymentId", "entitlementKey", "licenseId", "licenseStatus"]);
        } else {
            assert!(facts.is_empty(), "{facts:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_one_event_in_warn_mode_on_sqlite() {
    each_call_has_one_event(Database::sqlite(), "warn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_one_event_in_deny_mode_on_sqlite() {
    each_call_has_one_event(Database::sqlite(), "deny").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_one_event_in_warn_mode_on_postgresql() {
    each_call_has_one_event(Database::postgres().await, "warn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_one_event_in_deny_mode_on_postgresql() {
    each_call_has_one_event(Database::postgres().await, "deny").await;
}

/// Every change that was answered has its event, whenever the process dies.
async fn an_answered_change_is_in_the_log_after_a_kill(database: Database) {
    let vendor = Vendor::open();
    let mut quickstart = Quickstart::over(database);
    let request = under(&vendor, &mut quickstart);
    let license = vendor.mint(&request, "L-1", &generous("L-1", 1));
    std::fs::copy(license, quickstart.path("current.jwe")).unwrap();
    quickstart.start();
    for round in 0..3 {
        let operator = Operator::of(&quickstart);
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..8 {
            let requests: Vec<_> = (0..200)
                .map(|n| {
                    let slug = format!("k{round}-{caller}-{n}");
                    let input = json!({ "slug": slug });
                    (operator.call("tenancy.tenants.create", &format!("once-{slug}"), &input), slug)
                })
                .collect();
            callers.spawn(async move {
                let mut answered = Vec::new();
                for (request, slug) in requests {
                    match request.send().await {
                        Ok(answer) if answer.status() == StatusCode::OK => answered.push(slug),
                        Ok(answer) => panic!("{slug}: {}", answer.status()),
                        Err(_) => break,
                    }
                }
                answered
            });
        }
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        quickstart.kill();
        let answered: Vec<_> = callers.join_all().await.concat();
        assert!(answered.len() >= 5, "{}", answered.len());
        let events = events(&quickstart).await;
        for slug in answered {
            let found = events.get(&format!("once-{slug}"));
            assert_eq!(found.map(|found| found[0].1.as_str()), Some("succeeded"), "{slug} was answered");
        }
        quickstart.start();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_change_is_in_the_log_after_a_kill_on_sqlite() {
    an_answered_change_is_in_the_log_after_a_kill(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_change_is_in_the_log_after_a_kill_on_postgresql() {
    an_answered_change_is_in_the_log_after_a_kill(Database::postgres().await).await;
}
