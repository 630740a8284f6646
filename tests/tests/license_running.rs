//! A running server and the license: files that change, replicas that share a database, and what is measured and audited.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use chancery_acceptance::{Quickstart, Replica, Vendor, Wanted, answer, text};
use kit::Database;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const LICENSE: &str = "/api/platform/admin/v1/application/license";

/// A running deployment of this vendor under `license.path`, and its request.
fn licensed_by_file(database: Database, vendor: &Vendor) -> (Quickstart, std::path::PathBuf) {
    let mut deployment = Quickstart::over(database);
    assert!(deployment.stop());
    fs::copy(vendor.root(), deployment.path("vendor-root.pem")).unwrap();
    deployment.configure(r#""root.pem""#, r#""vendor-root.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    deployment.configure("[license.recipient]", "[license]\npath = \"current.jwe\"\n\n[license.recipient]");
    let asked = deployment.path("request.jws");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let line = ["license", "request", "--organization", "Acme", "--contact", contact, "--out"];
    let output = deployment.chancery(line.into_iter().chain([asked.to_str().unwrap()]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    (deployment, asked)
}

fn put(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).unwrap();
    fs::rename(beside, to).unwrap();
}

/// Asks until the license is so, and tells how long that took.
#[expect(clippy::disallowed_methods, reason = "this measures how long something takes")]
async fn until(request: impl Fn() -> RequestBuilder, is_so: impl Fn(&Value) -> bool) -> Duration {
    let began = Instant::now();
    loop {
        let (_, license) = answer(request()).await;
        if is_so(&license) {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it stays {license}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_without_a_restart() {
    let vendor = Vendor::open();
    let (mut deployment, asked) = licensed_by_file(Database::sqlite(), &vendor);
    let wanted = |id| Wanted { id, valid_days: 365, subtenants: true, exports: 100 };
    let (first, second) = (vendor.issue(&asked, &wanted("L-1")), vendor.issue(&asked, &wanted("L-2")));
    let current = deployment.path("current.jwe");
    put(&first, &current);
    deployment.start();
    let ask = || deployment.request(Method::GET, LICENSE);
    until(ask, |license| license["licenseId"] == "L-1").await;
    put(&second, &current);
    let took = until(ask, |license| license["licenseId"] == "L-2").await;
    eprintln!("a changed file was seen after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");

    fs::write(&current, "no license").unwrap();
    until(ask, |license| license["status"] == "INVALID").await;
    fs::remove_file(&current).unwrap();
    until(ask, |license| license["status"] == "RECOVERY" || license["status"] == "MISSING").await;
    put(&second, &current);
    until(ask, |license| license["status"] == "ACTIVE").await;

    let (_, page) = deployment.call("platform.audit.query", json!({ "limit": 1000 })).await;
    let changes =
        page["events"].as_array().unwrap().iter().filter(|event| {
            event["event"] == "license.status.changed" && event["metadata"]["to"] == "INVALID"
        });
    let changes: Vec<_> = changes.collect();
    assert_eq!(changes.len(), 1, "{page}");
    assert_eq!((&changes[0]["result"], &changes[0]["tenantId"]), (&json!("warning"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_that_is_installed_on_one_server_is_seen_by_the_other_within_two_seconds() {
    let vendor = Vendor::open();
    let (mut deployment, asked) = licensed_by_file(Database::postgres().await, &vendor);
    deployment.configure("path = \"current.jwe\"\n", "");
    deployment.start();
    let other: Replica = deployment.replica();
    let ask = || other.request(Method::GET, LICENSE);
    until(ask, |license| license["status"] == "MISSING").await;
    let mut longest = Duration::ZERO;
    for id in ["L-1", "L-2", "L-3", "L-4", "L-5"] {
        let license = vendor.issue(&asked, &Wanted { id, valid_days: 365, subtenants: true, exports: 100 });
        let text = fs::read_to_string(license).unwrap();
        let install = deployment.request(Method::POST, LICENSE).json(&json!({ "license": text }));
        let (done, installed) = answer(install).await;
        assert!(done.is_success(), "{installed}");
        let took = until(ask, |license| license["licenseId"] == id).await;
        longest = longest.max(took);
    }
    eprintln!("an installed license was seen by the other server after at most {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_license_is_measured_without_a_token_and_warned_of() {
    let vendor = Vendor::open();
    let (mut deployment, asked) = licensed_by_file(Database::sqlite(), &vendor);
    let soon = vendor.issue(&asked, &Wanted { id: "L-1", valid_days: 5, subtenants: true, exports: 100 });
    put(&soon, &deployment.path("current.jwe"));
    deployment.start();
    let url = deployment.credentials()["url"].as_str().unwrap().to_owned();
    let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let value = |series: &str| -> i64 {
        let line =
            text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("{series}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let left = value("chancery_license_expiry_seconds ");
    assert!((4 * 86_400..=5 * 86_400).contains(&left), "{left}");
    assert_eq!(value("chancery_license_status{status=\"ACTIVE\"}"), 1);
    assert_eq!(value("chancery_license_status{status=\"EXPIRED\"}"), 0);
    assert_eq!(value("chancery_license_warnings "), 1);

    let ask = || {
        deployment
            .request(Method::POST, "/api/commands/platform.audit.query")
            .json(&json!({ "result": "warning", "limit": 100 }))
    };
    let is_told = |page: &Value| {
        page["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["event"] == "license.expiring" && event["metadata"]["licenseId"] == "L-1")
    };
    until(ask, is_told).await;
}
