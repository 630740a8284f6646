//! From a vendor's new authority to a running server under the license it made, by files only.

use std::{fs, path::Path, process::Output};

use chancery_acceptance::{Quickstart, chancery, issuer, text};
use kit::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};

const TEMPLATE: &str = r#"
licenseId = "L-2026-1"
validDays = 365
graceDays = 14
issuer = { id = "vendor", name = "Vendor" }
licensee = { id = "acme", name = "Acme" }

[grant]
products = { chancery = { edition = "pro" } }
features = { "tenancy.subtenants.v1" = true }
commands = { allow = [], deny = ["*.tenancy.tenants.export"] }
quotas = { "tenancy.exports.max" = 100 }
"#;

fn vendor(desk: &Path, arguments: &str) -> Output {
    let output = issuer()
        .args(arguments.split(' '))
        .env("CHANCERY_ISSUER_PASSPHRASE", "correct horse battery staple")
        .current_dir(desk)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_that_a_vendor_mints_for_a_deployments_request_runs_there() {
    let mut quickstart = Quickstart::over(Database::sqlite());
    let (status, _) =
        quickstart.call("tenancy.children.create", json!({ "parent": "demo", "slug": "before" })).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    quickstart.stop();

    let desk = tempfile::tempdir().unwrap();
    let config = quickstart.path("chancery.toml").display().to_string();
    let request = desk.path().join("request.jws");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let line = ["license", "request", "--organization", "Acme", "--contact", contact, "--out"];
    let output = quickstart.chancery(line.into_iter().chain([request.to_str().unwrap()]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(desk.path().join("template.toml"), TEMPLATE).unwrap();
    vendor(desk.path(), "ca init --dir pki --name Root");
    vendor(desk.path(), "ca signer --dir pki --name Signer");
    vendor(desk.path(), "issue --dir pki --template template.toml --request request.jws --out license.jwe");

    fs::copy(desk.path().join("license.jwe"), quickstart.path("vendor.jwe")).unwrap();
    let own = quickstart.path("license.jwe").display().to_string();
    let output = chancery(["license", "inspect", &own, "--config", &config]);
    assert!(output.status.success(), "its own development license: {}", text(&output.stdout));
    fs::copy(desk.path().join("pki/authorities/root.pem"), quickstart.path("root.pem")).unwrap();
    let minted = desk.path().join("license.jwe").display().to_string();
    let output =
        chancery(["explain", "tenancy.children.create", "--config", &config, "--license", &minted, "--json"]);
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        explained["verdict"], "ALLOWED",
        "what it would change is seen before it is installed: {explained}"
    );
    quickstart.configure("[license.recipient]", "[license]\npath = \"vendor.jwe\"\n\n[license.recipient]");

    let output = chancery(["license", "status", "--json", "--config", &config]);
    let license: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&license["status"], &license["licenseId"]),
        (&json!("ACTIVE"), &json!("L-2026-1")),
        "{license}"
    );
    assert_eq!(license["development"], false);

    quickstart.start();
    let (status, child) =
        quickstart.call("tenancy.children.create", json!({ "parent": "demo", "slug": "after" })).await;
    assert_eq!((status, &child["slug"]), (StatusCode::OK, &json!("after")));
    let (status, body) = quickstart.call("tenancy.tenants.export", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a deny rule wins over product and quota");
    assert_eq!(body["error"]["details"]["reason"], "COMMAND_DENIED");
}
