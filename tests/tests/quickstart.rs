//! A newcomer's path, on both databases: from nothing to a licensed command that runs, one that is refused, one that
//! runs out; what was refused is audited, and the coverage report names the gap.

use chancery_acceptance::{Quickstart, answer, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn the_path_of_a_newcomer(database: Database) {
    let mut quickstart = Quickstart::over(database);
    let commands = quickstart.commands();
    let [allowed, refused, metered, audit, explain, coverage] = commands.as_slice() else {
        panic!("six commands to paste, not {commands:#?}")
    };

    let output = quickstart.paste(allowed);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tenant: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&tenant["slug"], &tenant["status"]), (&json!("acme"), &json!("ACTIVE")));

    let (_, first) = quickstart.call("tenancy.tenants.list", json!({ "limit": 1 })).await;
    assert_eq!((&first["tenants"][0]["slug"], &first["next"]), (&json!("acme"), &json!("acme")));
    let (_, second) = quickstart.call("tenancy.tenants.list", json!({ "after": "acme" })).await;
    assert_eq!((&second["tenants"][0]["slug"], &second["next"]), (&json!("demo"), &json!(null)));

    let output = quickstart.paste(refused);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.starts_with("error: 402 feature_requires_paid_license (CEILING_EXCEEDED)"), "{told}");

    for _ in 0..3 {
        let output = quickstart.paste(metered);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = quickstart.paste(metered);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.starts_with("error: 429 quota_exceeded (QUOTA_EXCEEDED)"), "{told}");

    let output = quickstart.paste(audit);
    let page: Value = serde_json::from_slice(&output.stdout).unwrap();
    let denials: Vec<_> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["errorCode"].as_str().unwrap()))
        .collect();
    assert_eq!(
        denials,
        [("license.command.denied", "QUOTA_EXCEEDED"), ("license.command.denied", "CEILING_EXCEEDED")]
    );

    let output = quickstart.paste(explain);
    let told = text(&output.stdout);
    assert!(told.contains("hold edition `pro` of `chancery`"), "{told}");

    let told = text(&quickstart.paste(coverage).stdout);
    assert!(told.contains("identity.operators.whoami") && told.contains("1 gap;"), "{told}");

    let operator = quickstart.credentials()["operator"].clone();
    assert!(quickstart.stop(), "it stops when told to");
    quickstart.start();
    assert_eq!(quickstart.credentials()["operator"], operator, "a second run continues");
    let (status, _) = quickstart.call("tenancy.tenants.get", json!({ "tenantId": tenant["tenantId"] })).await;
    assert_eq!(status, StatusCode::OK, "what was acknowledged is still there");
    let output = quickstart.paste(&quickstart.commands()[2]);
    assert!(text(&output.stderr).starts_with("error: 429"), "what was charged is still charged");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_newcomer_on_sqlite() {
    the_path_of_a_newcomer(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_newcomer_on_postgresql() {
    the_path_of_a_newcomer(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_runs_in_warn_mode_and_is_reported_once_and_is_refused_in_deny_mode() {
    let mut quickstart = Quickstart::over(Database::sqlite());
    for _ in 0..5 {
        let (status, _) = quickstart.call("identity.operators.whoami", json!({})).await;
        assert_eq!(status, StatusCode::OK);
    }
    quickstart.stop();
    quickstart.configure(r#"missing-descriptor-mode = "warn""#, r#"missing-descriptor-mode = "deny""#);
    quickstart.start();
    let (status, body) = quickstart.call("identity.operators.whoami", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["error"]["details"]["reason"], "MISSING_DESCRIPTOR");
    let (status, _) = quickstart.call("health.live.check", json!({})).await;
    assert_eq!(status, StatusCode::OK, "what is allowlisted runs in deny mode");

    let (_, page) =
        quickstart.call("platform.audit.query", json!({ "commandId": "identity.operators.whoami" })).await;
    let events: Vec<_> =
        page["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let count = |name| events.iter().filter(|event| **event == name).count();
    assert_eq!(count("license.command.descriptor-missing"), 1);
    assert_eq!(count("license.command.denied"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_under_an_idempotency_key_is_charged_once() {
    let quickstart = Quickstart::over(Database::sqlite());
    let export = || {
        quickstart
            .request(Method::POST, "/api/platform/admin/v1/tenants/export?tenant=demo")
            .header("idempotency-key", "export-1")
            .json(&json!({}))
    };
    let (status, first) = answer(export()).await;
    assert_eq!(status, StatusCode::OK);
    for _ in 0..5 {
        assert_eq!(answer(export()).await, (StatusCode::OK, first.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_in_the_credentials_file_and_nowhere_else() {
    let quickstart = Quickstart::over(Database::sqlite());
    let token = quickstart.credentials()["token"].as_str().unwrap().to_owned();
    assert!(!quickstart.welcome.contains(&token));
    let path = quickstart.database().trim_start_matches("sqlite://");
    for file in [path.to_owned(), format!("{path}-wal")] {
        let Ok(bytes) = std::fs::read(file) else { continue };
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
}
