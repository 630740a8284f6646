//! Bad input, bad configuration, bad licenses, bad databases: each gets a clear answer, and nothing happens.

use std::fs;

use chancery_acceptance::{Quickstart, answer, chancery, program, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Cause, Options, Store};

#[track_caller]
fn is_an_error((status, body): (StatusCode, Value), expected: u16, code: &str) {
    let error = &body["error"];
    assert_eq!((status.as_u16(), error["code"].as_str()), (expected, Some(code)), "{body}");
    for field in ["message", "category", "correlationId"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {body}");
    }
    assert!(error["details"].is_object(), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_calls_get_the_error_body() {
    let quickstart = Quickstart::over(Database::sqlite());
    let post = |path: &str| quickstart.request(Method::POST, path);
    let create = "/api/commands/tenancy.tenants.create";

    is_an_error(
        answer(post("/api/commands/tenancy.tenants.burn").json(&json!({}))).await,
        404,
        "unknown_command",
    );
    is_an_error(answer(post("/api/nowhere").json(&json!({}))).await, 404, "unknown_path");
    is_an_error(
        answer(post(create).header("content-type", "application/json").body("{\"slug\":")).await,
        400,
        "malformed_json",
    );
    is_an_error(answer(post(create).json(&json!({ "slug": 7 }))).await, 400, "invalid_input");
    is_an_error(
        answer(post(create).json(&json!({ "slug": "x", "system": true }))).await,
        400,
        "invalid_input",
    );
    let oversize = json!({ "slug": "x".repeat(2 << 20) });
    is_an_error(answer(post(create).json(&oversize)).await, 413, "body_too_large");
    let tenant = |slug: &str| format!("/api/commands/tenancy.tenants.export?tenant={slug}");
    is_an_error(answer(post(&tenant("nobody")).json(&json!({}))).await, 404, "unknown_tenant");

    let anonymous =
        reqwest::Client::new().post(format!("{}{create}", quickstart.credentials()["url"].as_str().unwrap()));
    is_an_error(
        answer(anonymous.try_clone().unwrap().json(&json!({}))).await,
        401,
        "authentication_required",
    );
    is_an_error(answer(anonymous.bearer_auth("chancery_guess").json(&json!({}))).await, 401, "invalid_token");

    let (status, page) = quickstart.call("tenancy.tenants.list", json!({})).await;
    assert_eq!((status, page["tenants"].as_array().unwrap().len()), (StatusCode::OK, 1), "nothing was made");
}

fn config(folder: &std::path::Path, more: &str) -> String {
    let path = folder.join("chancery.toml");
    let database = folder.join("chancery.db");
    let text =
        format!("[database]\nurl = \"sqlite://{}\"\n[deployment]\nid = \"test\"\n{more}", database.display());
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn an_unknown_key_refuses_to_start_naming_key_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "[license.comand-enforcement]\nenabled = true\n");
    let output = chancery(["serve", "--config", &file]);
    assert_eq!(output.status.code(), Some(78));
    let told = text(&output.stderr);
    assert!(told.contains("comand-enforcement") && told.contains("line 5"), "{told}");

    let output = program()
        .args(["serve", "--config", &config(folder.path(), "")])
        .env("CHANCERY_LICENSE__PAHT", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("CHANCERY_LICENSE__PAHT"));
}

#[test]
fn without_a_license_service_production_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "shape = { environment = \"production\" }\n");
    let output = chancery(["serve", "--dev", "--config", &file]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("environment=production"));
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "");
    assert!(chancery(["migrate", "--config", &file]).status.success());
    let url = format!("sqlite://{}", folder.path().join("chancery.db").display());
    let store = Store::open(&url, Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    store::sqlx::query(
        "INSERT INTO schema_migration (version, description, success, checksum, execution_time)
         VALUES (99991231235959, 'from the future', true, x'00', 0)",
    )
    .execute(&mut *work)
    .await
    .unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    let output = chancery(["serve", "--config", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("99991231235959"), "{}", text(&output.stderr));
}

#[test]
fn migrating_twice_changes_nothing_and_a_dry_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), "");
    let would = text(&chancery(["migrate", "--dry-run", "--config", &file]).stdout);
    assert!(would.contains("would apply") && would.contains("tenants"), "{would}");
    let applied = text(&chancery(["migrate", "--config", &file]).stdout);
    assert_eq!(applied, would.replace("would apply", "applied"));
    assert_eq!(text(&chancery(["migrate", "--config", &file]).stdout), "the schema is up to date\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_that_cannot_be_read_denies_and_says_why_to_the_operator() {
    let mut quickstart = Quickstart::over(Database::sqlite());
    quickstart.stop();
    fs::write(quickstart.path("license.jwe"), "this is no license").unwrap();
    quickstart.start();
    let (status, body) = quickstart.call("tenancy.tenants.list", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["error"]["details"]["reason"], "LICENSE_INVALID");
    let (status, license) = quickstart.call("platform.license.status", json!({})).await;
    assert_eq!((status, &license["status"]), (StatusCode::OK, &json!("INVALID")), "asking needs no license");
    assert!(license["detail"].as_str().is_some_and(|detail| !detail.is_empty()));

    let config = quickstart.path("chancery.toml").display().to_string();
    let output = chancery(["license", "status", "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("INVALID"));
}

#[test]
fn each_reason_has_its_page_as_help() {
    let output = chancery(["explain", "NOT_ENTITLED"]);
    assert!(text(&output.stdout).starts_with("# NOT_ENTITLED\n"));
    let output = chancery(["explain", "tenancy.tenants.burn"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`tenancy.tenants.burn`"));
}
