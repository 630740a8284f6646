//! From a vendor's new authority to a running server under the license it made, by files only.

use std::{fs, path::Path, process::Output};

use chancery_acceptance::{Quickstart, chancery, issuer, root, text};
use kit::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};

const TEMPLATE: &str = r#"
licenseId = "L-2026-1"
validDays = 365
graceDays = 14
issuer = { id = "vendor", name = "Vendor" }
licensee = { id = "acme", name = "Acme" }

[[sell]]
product = "chancery"
edition = "pro"

[grant]
commands = { deny = ["*.tenancy.tenants.export"] }
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
    let demo = quickstart.tenant("demo").await;
    let (status, _) =
        quickstart.call("tenancy.children.create", json!({ "tenantId": demo, "slug": "before" })).await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    quickstart.stop();

    let desk = tempfile::tempdir().unwrap();
    let config = quickstart.path("chancery.toml").display().to_string();
    let request = desk.path().join("request");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let line = ["license", "request", "--json", "--organization", "Acme", "--contact", contact, "--out"];
    let output = quickstart.chancery(line.into_iter().chain([request.to_str().unwrap()]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    fs::write(desk.path().join("template.toml"), TEMPLATE).unwrap();
    for module in ["platform", "tenancy"] {
        let slice = root().join("modules").join(module).join("catalog.toml");
        fs::copy(slice, desk.path().join(format!("{module}.toml"))).unwrap();
    }
    vendor(desk.path(), "ca init --dir pki --name Root");
    vendor(desk.path(), "ca intermediate --dir pki --name Issuing");
    vendor(desk.path(), "ca signer --dir pki --name Acme");
    let issue =
        "issue --dir pki --template template.toml --catalog platform.toml tenancy.toml --request request.txt";
    vendor(
        desk.path(),
        &format!("{issue} --fingerprint {} --out license.jwe", made["fingerprint"].as_str().unwrap()),
    );

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
        quickstart.call("tenancy.children.create", json!({ "tenantId": demo, "slug": "after" })).await;
    assert_eq!((status, &child["slug"]), (StatusCode::OK, &json!("after")));
    let (status, body) = quickstart.call("tenancy.tenants.export", json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a deny rule wins over product and quota");
    assert_eq!(body["error"]["details"]["reason"], "COMMAND_DENIED");
}
