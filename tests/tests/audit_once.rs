//! One event for each call, and one `license.command.denied` for each denial (semantics 6.2), under 64 callers at once: in
//! both modes, on both engines, through the real server. And every change has its event, even when the process is killed in
//! the middle.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use chancery_acceptance::{Quickstart, Vendor, answer, generous, text, under};
use kit::Database;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use store::{
    Options, Store,
    sqlx::{self, Row as _},
};
use tokio::sync::watch;

const CALLERS: usize = 64;
const CALLS: usize = 6;
/// How often the server is killed.
const ROUNDS: usize = 6;

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

async fn open_calls(quickstart: &Quickstart) -> i64 {
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let open = sqlx::query_scalar("SELECT count(*) FROM open_call").fetch_one(store.reader()).await.unwrap();
    store.close().await;
    open
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

    assert_eq!(
        open_calls(&quickstart).await,
        0,
        "what failed leaves no mark, and what succeeded has taken it away"
    );
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

/// Every change that was committed has one event, whenever the process dies: its own where it was answered, and otherwise its
/// own or one that says that its call was interrupted.
async fn every_change_has_one_event_after_kills(database: Database) {
    let vendor = Vendor::open();
    let mut quickstart = Quickstart::over(database);
    let request = under(&vendor, &mut quickstart);
    let license = vendor.mint(&request, "L-1", &generous("L-1", 1));
    std::fs::copy(license, quickstart.path("current.jwe")).unwrap();
    quickstart.configure("[server]", "[server]\nrequest-timeout-seconds = 3");
    quickstart.start();
    let mut answered = HashSet::new();
    for round in 0..ROUNDS {
        let operator = Operator::of(&quickstart);
        let mut callers = tokio::task::JoinSet::new();
        let (first, mut at_work) = watch::channel(false);
        for caller in 0..8 {
            let first = first.clone();
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
                        Ok(answer) if answer.status() == StatusCode::OK => {
                            answered.push(slug);
                            first.send_replace(true);
                        }
                        Ok(answer) => panic!("{slug}: {}", answer.status()),
                        Err(_) => break,
                    }
                }
                answered
            });
        }
        drop(first);
        at_work.wait_for(|told| *told).await.expect("it answers");
        let [instant] = kernel::Ambient::system().bytes();
        tokio::time::sleep(Duration::from_millis(4 * u64::from(instant))).await;
        quickstart.kill();
        let told: HashSet<_> = callers.join_all().await.into_iter().flatten().collect();
        let events = events(&quickstart).await;
        for slug in &told {
            let found = events.get(&format!("once-{slug}"));
            assert_eq!(found.map(|found| found[0].1.as_str()), Some("succeeded"), "{slug} was answered");
        }
        answered.extend(told);
        quickstart.start();
    }

    // Two processes look for what was interrupted.
    let other = quickstart.replica();
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let closed = async {
        while open_calls(&quickstart).await > 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), closed).await.expect("no call is open for ever");
    let committed: Vec<String> = sqlx::query_scalar("SELECT slug FROM tenancy_tenant WHERE slug LIKE 'k%-%'")
        .fetch_all(store.reader())
        .await
        .unwrap();
    let events = events(&quickstart).await;
    let mut interrupted = 0;
    for slug in &committed {
        let told = events.get(&format!("once-{slug}")).map(Vec::as_slice);
        match told {
            Some([(name, ..)]) if name == "command.succeeded" => {}
            Some([(name, result, code, metadata)])
                if name == "command.interrupted" && !answered.contains(slug) =>
            {
                assert_eq!((result.as_str(), code.as_deref()), ("warning", Some("outcome_unknown")));
                assert!(metadata["startedAt"].is_string(), "{metadata}");
                interrupted += 1;
            }
            _ => panic!("{slug} was committed, answered: {}, told: {told:?}", answered.contains(slug)),
        }
    }
    eprintln!("{} committed, {} answered, {interrupted} interrupted", committed.len(), answered.len());
    assert!(interrupted > 0, "no kill hit a call between its change and its event");
    drop(other);
    let verified = quickstart.chancery(["audit", "verify", "--config", "demo/chancery.toml"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_one_event_after_kills_on_sqlite() {
    every_change_has_one_event_after_kills(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_one_event_after_kills_on_postgresql() {
    every_change_has_one_event_after_kills(Database::postgres().await).await;
}
