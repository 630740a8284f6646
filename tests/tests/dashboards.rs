//! What docs/dashboards offers can be loaded, and every metric it names is one that a server shows. A parser that nobody
//! here wrote reads the expressions; `tests/run` installs it.

use std::{collections::BTreeSet, process::Command};

use chancery_acceptance::{Quickstart, root, text};
use kit::Database;
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_rules_and_the_dashboard_is_shown_by_a_server() {
    let read = Command::new(root().join("target/foreign/venv/bin/python"))
        .arg(root().join("tests/foreign/read_dashboards.py"))
        .args(["docs/dashboards/alerts.yml", "docs/dashboards/chancery.json"])
        .current_dir(root())
        .output()
        .expect("start python, which tests/run installs");
    assert!(read.status.success(), "{}", text(&read.stderr));
    let names = text(&read.stdout);
    let named: BTreeSet<_> = names.lines().collect();
    assert!(named.len() >= 10, "{named:?}");

    let quickstart = Quickstart::over(Database::sqlite());
    quickstart.call("tenancy.tenants.list", json!({})).await;
    let metrics = quickstart.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let shown: BTreeSet<_> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let unknown: Vec<_> = named.difference(&shown).collect();
    assert!(unknown.is_empty(), "no server shows {unknown:?}");
}

/// What a stranger writes stands in no label.
#[tokio::test(flavor = "multi_thread")]
async fn labels_are_made_by_the_program() {
    let quickstart = Quickstart::over(Database::sqlite());
    for id in ["tenancy.tenants.list", "stranger.tenants.list", "%7B%7D", "stranger"] {
        quickstart.call(id, json!({ "stranger": "stranger" })).await;
    }
    let metrics = quickstart.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"{command="tenancy.tenants.list",outcome="failed"}"#), "{metrics}");
    assert!(!metrics.contains("stranger"), "{metrics}");
}
