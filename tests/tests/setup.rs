//! First-run setup over HTTP, on both engines: what anybody may do until there is an administrator, and nobody after.

use std::fs;

use chancery_acceptance::{Fresh, Vendor, Wanted, answer, root, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BASE: &str = "/api/platform/setup/v1";
const PASSWORD: &str = "correct horse battery";

/// Every route of the setup, with a body it takes or one it does not.
const ROUTES: [(&str, &str); 8] = [
    ("GET", "status"),
    ("GET", "onboarding/state"),
    ("PUT", "onboarding/state"),
    ("GET", "license-request"),
    ("POST", "license-request/generate"),
    ("POST", "license/import/preview"),
    ("POST", "license/import"),
    ("POST", "bootstrap"),
];

const COMMANDS: [&str; 8] = [
    "setup.status.show",
    "setup.onboarding.show",
    "setup.onboarding.save",
    "setup.license-request.show",
    "setup.license-request.generate",
    "setup.license.preview",
    "setup.license.import",
    "setup.platform.bootstrap",
];

async fn is_closed(url: &str) {
    let client = reqwest::Client::new();
    for (method, path) in ROUTES {
        for body in [json!({}), json!({ "operatorEmail": "eve@example.com", "operatorDisplayName": "Eve" })] {
            let at = format!("{url}{BASE}/{path}");
            let request = client.request(method.parse().unwrap(), &at);
            let (status, said) = answer(if method == "GET" { request } else { request.json(&body) }).await;
            let message = format!("there is nothing at `{BASE}/{path}`");
            let error = &said["error"];
            assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!("unknown_path")), "{path}");
            assert_eq!(error["message"], message);
        }
    }
    for id in COMMANDS {
        let at = format!("{url}/api/commands/{id}");
        for request in
            [client.post(&at).body("not even JSON"), client.post(&at).json(&json!({})), client.get(&at)]
        {
            let (status, said) = answer(request).await;
            let error = &said["error"];
            assert_eq!((status, &error["code"]), (StatusCode::NOT_FOUND, &json!("unknown_command")), "{id}");
        }
    }
}

async fn the_gate_closes_once_for_every_replica_and_every_restart(database: Database) {
    let mut fresh = Fresh::over(database, "");
    let replica = fresh.replica();
    let (status, said) = fresh.send(Method::GET, &format!("{BASE}/status"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(
        (&said["gateOpen"], &said["licenseConfigured"], &said["administratorActivationRequired"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(said["firstTenantConfigMissingKeys"], json!(["server.public-url"]));

    // Whoever stops goes on where they were.
    let state = json!({ "resumeStep": 2, "draft": { "organizationName": "Acme" } });
    let path = format!("{BASE}/onboarding/state");
    assert_eq!(fresh.send(Method::PUT, &path, state.clone()).await, (StatusCode::OK, state.clone()));
    fresh.start();
    assert_eq!(fresh.send(Method::GET, &path, json!({})).await, (StatusCode::OK, state));

    // Nothing else is open to the anonymous.
    let (status, _) = fresh.send(Method::GET, "/api/identity/v1/operators", json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    // Of two bootstraps at once, one wins.
    let bootstrap = |url: String, who: &str| {
        let wanted = json!({ "operatorEmail": format!("{who}@example.com"), "operatorDisplayName": who });
        answer(reqwest::Client::new().post(format!("{url}{BASE}/bootstrap")).json(&wanted))
    };
    let (one, other) =
        tokio::join!(bootstrap(fresh.url().to_owned(), "Ada"), bootstrap(replica.url.clone(), "Bob"));
    let (won, lost) = if one.0 == StatusCode::OK { (one, other) } else { (other, one) };
    assert_eq!((won.0, lost.0), (StatusCode::OK, StatusCode::CONFLICT), "{} {}", won.1, lost.1);
    assert_eq!(lost.1["error"]["code"], "administrator_invited");
    assert_eq!(
        (&won.1["status"], &won.1["activation"]["deliveryState"]),
        (&json!("ACTIVE"), &json!("MANUAL"))
    );
    let again = bootstrap(fresh.url().to_owned(), "Ada").await;
    assert_eq!(again.0, StatusCode::CONFLICT, "the link is told once: {}", again.1);
    let (_, said) = fresh.send(Method::GET, &format!("{BASE}/status"), json!({})).await;
    assert_eq!(said["administratorActivationRequired"], true);

    // Of two completions at once, one wins.
    let token = Fresh::token(&won.1["activation"]["manualActivationLink"]);
    let complete = |url: String, password: &'static str| {
        let body = json!({ "token": token, "password": password });
        answer(reqwest::Client::new().post(format!("{url}/api/account-actions/v1/complete")).json(&body))
    };
    let (one, other) = tokio::join!(
        complete(fresh.url().to_owned(), PASSWORD),
        complete(replica.url.clone(), "another long password")
    );
    let mut statuses = [one.0.as_u16(), other.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404], "{} {}", one.1, other.1);
    let password = if one.0 == StatusCode::OK { PASSWORD } else { "another long password" };

    is_closed(fresh.url()).await;
    is_closed(&replica.url).await;
    fresh.start();
    is_closed(fresh.url()).await;
    fresh.sign_in(won.1["operatorEmail"].as_str().unwrap(), password).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_closes_once_for_every_replica_and_every_restart_on_sqlite() {
    the_gate_closes_once_for_every_replica_and_every_restart(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_closes_once_for_every_replica_and_every_restart_on_postgresql() {
    the_gate_closes_once_for_every_replica_and_every_restart(Database::postgres().await).await;
}

/// The guide, pasted. The vendor's license comes in between, as a file.
#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_the_setup_guide_runs_in_its_order() {
    let vendor = Vendor::open();
    let served = "[server]\npublic-url = \"https://platform.acme.example\"";
    let fresh = Fresh::over(Database::sqlite(), served);
    fs::copy(vendor.root(), fresh.path("roots.pem")).unwrap();
    let guide = fs::read_to_string(root().join("docs/setup.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```\n").next().unwrap());
    let mut shown = String::new();
    for block in blocks {
        // Each block is a shell of its own; what one asks for, the next finds in files.
        let script = block.replace("https://platform.example.com", fresh.url());
        let output = std::process::Command::new("sh")
            .args(["-eu", "-c", &script])
            .current_dir(fresh.path("."))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .output()
            .unwrap();
        shown += &text(&output.stdout);
        assert!(output.status.success(), "{block}\n{shown}\n{}", text(&output.stderr));
        if block.contains("> request.json") {
            let made: Value = serde_json::from_slice(&fs::read(fresh.path("request.json")).unwrap()).unwrap();
            fs::write(fresh.path("request"), made["compact"].as_str().unwrap()).unwrap();
            let wanted = Wanted { id: "L-1", valid_days: 365, subtenants: true, exports: 100 };
            let license = vendor.issue(&fresh.path("request"), &wanted);
            fs::copy(license, fresh.path("license.jwe")).unwrap();
        }
    }
    for words in ["\"gateOpen\":true", "\"installable\":true", "the setup is over", "\"slug\":\"acme\""] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    is_closed(fresh.url()).await;
}
