//! First-run setup over HTTP, on both engines: what anybody may do until there is an administrator, and nobody after.

use std::{fs, time::Duration};

use chancery_acceptance::{Fresh, MailServer, Vendor, Wanted, answer, root, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Cause, Options, Store, sqlx};

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
    let (status, said) = answer(client.delete(format!("{url}{BASE}/status"))).await;
    assert_eq!((status, &said["error"]["code"]), (StatusCode::NOT_FOUND, &json!("unknown_path")));
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

/// What sends mail, and where its links lead.
fn mailing(server: &MailServer) -> String {
    format!(
        "[server]\npublic-url = \"https://platform.example.com\"\n\n[mail]\nfrom = \"no-reply@platform.example.com\"\n\
         [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n",
        server.port()
    )
}

/// The token of the link in a mail, which is nowhere else in it.
fn mailed(mail: &Value, to: &str) -> String {
    assert_eq!(mail["to"], json!([to]));
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let (before, token) = link.split_once('#').expect("a fragment");
    assert_eq!(before, "https://platform.example.com/console/activate");
    assert_eq!((text.matches(token).count(), token.len()), (1, 64));
    token.to_owned()
}

async fn links_are_mailed_and_nobody_else_is_told_them(database: Database) {
    let mail = MailServer::start();
    let fresh = Fresh::over(database, &mailing(&mail));
    let status = async || fresh.send(Method::GET, &format!("{BASE}/status"), json!({})).await.1;
    let before = status().await;
    assert_eq!((&before["emailConfigured"], before.get("administratorActivation")), (&json!(true), None));

    // Where the mail server refuses the address for good, another administrator can be invited at once.
    let bootstrap =
        async |wanted: Value| fresh.send(Method::POST, &format!("{BASE}/bootstrap"), wanted).await;
    let wanted = |email: &str| json!({ "operatorEmail": email, "operatorDisplayName": "Ada" });
    let (code, lost) = bootstrap(wanted("refused@example.com")).await;
    assert_eq!((code, &lost["activation"]["deliveryState"]), (StatusCode::OK, &json!("QUEUED")), "{lost}");
    let delivery = async |state: &str| {
        for _ in 0..100 {
            if status().await["administratorActivation"]["deliveryState"] == state {
                return status().await["administratorActivation"].clone();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it is not {state}: {}", status().await)
    };
    assert_eq!(delivery("DELIVERY_FAILED").await["status"], "PENDING");
    let (code, made) = bootstrap(wanted("Ada@example.com")).await;
    assert_eq!(code, StatusCode::OK, "{made}");
    let activation = &made["activation"];
    assert_eq!(
        (&activation["deliveryState"], activation.get("manualActivationLink")),
        (&json!("QUEUED"), None),
        "{made}"
    );
    let token = mailed(&mail.next(), "Ada@example.com");
    let standing = delivery("DELIVERED").await;
    assert_eq!((&standing["status"], &standing["expiresAt"]), (&json!("PENDING"), &activation["expiresAt"]));
    let (code, again) = bootstrap(wanted("ada@example.com")).await;
    assert_eq!((code, &again["error"]["code"]), (StatusCode::CONFLICT, &json!("administrator_invited")));

    // A link that was not used in time is no more; whoever sets up invites again, and hands this one on by choice.
    let past = |sql: &'static str| {
        let url = fresh.database().to_owned();
        async move {
            let store = Store::open(&url, Options::default()).await.unwrap();
            let mut work = store.begin().await.unwrap();
            sqlx::query(sql).execute(&mut *work).await.unwrap();
            work.commit(Cause::Upkeep).await.unwrap();
            store.close().await;
        }
    };
    past("UPDATE setup_gate SET held_until = 1").await;
    past("UPDATE identity_action SET expires_at = 1").await;
    assert_eq!(status().await["administratorActivation"]["status"], "EXPIRED");
    let complete = async |token: &str| {
        let body = json!({ "token": token, "password": PASSWORD });
        fresh.send(Method::POST, "/api/account-actions/v1/complete", body).await
    };
    assert_eq!(complete(&token).await.0, StatusCode::NOT_FOUND);
    let mut by_hand = wanted("ada@example.com");
    by_hand["deliveryMethod"] = json!("MANUAL");
    let (code, made) = bootstrap(by_hand).await;
    assert_eq!((code, &made["activation"]["deliveryState"]), (StatusCode::OK, &json!("MANUAL")), "{made}");
    assert_eq!(status().await["administratorActivation"]["deliveryState"], "MANUAL");
    past("UPDATE setup_gate SET held_until = 1").await;
    assert_eq!(bootstrap(wanted("ada@example.com")).await.0, StatusCode::OK);
    let manual = Fresh::token(&made["activation"]["manualActivationLink"]);
    assert_eq!(complete(&manual).await.0, StatusCode::NOT_FOUND, "another link ends the one before");
    let token = mailed(&mail.next(), "Ada@example.com");
    assert_eq!(complete(&token).await.0, StatusCode::OK);
    is_closed(fresh.url()).await;

    // An operator is invited, and is given another password, by the same way.
    let session = fresh.sign_in("ada@example.com", PASSWORD).await;
    let invite = json!({ "name": "bob", "email": "bob@example.com", "role": "platform-auditor" });
    let request = fresh.in_session(&session, Method::POST, "/api/identity/v1/operators").json(&invite);
    let (code, invited) = answer(request).await;
    assert_eq!(
        (code, &invited["activation"]["deliveryState"]),
        (StatusCode::OK, &json!("QUEUED")),
        "{invited}"
    );
    let first = mailed(&mail.next(), "bob@example.com");
    assert!(!invited.to_string().contains(&first));
    assert_eq!(complete(&first).await.0, StatusCode::OK);
    let request =
        fresh.in_session(&session, Method::POST, "/api/identity/v1/operators/bob/actions").json(&json!({}));
    let (code, given) = answer(request).await;
    assert_eq!(code, StatusCode::OK, "{given}");
    let second = mailed(&mail.next(), "bob@example.com");
    assert_eq!(complete(&second).await.0, StatusCode::OK);
    assert_eq!(complete(&second).await.0, StatusCode::NOT_FOUND, "it works once");

    keeps_none(&fresh, [&token, &first, &second, &manual]).await;
}

/// No token is kept once its mail is settled, and none was logged.
async fn keeps_none(fresh: &Fresh, tokens: [&str; 4]) {
    let store = Store::open(fresh.database(), Options::default()).await.unwrap();
    let mut kept = String::new();
    for _ in 0..50 {
        let texts: Vec<String> = sqlx::query_scalar("SELECT subject || body FROM mail_outbox")
            .fetch_all(store.reader())
            .await
            .unwrap();
        kept = texts.concat();
        if kept.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kept, "");
    store.close().await;
    let logged = fresh.logged();
    assert!(logged.contains("a mail was sent"), "{logged}");
    for token in tokens {
        assert!(!logged.contains(token));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_mailed_and_nobody_else_is_told_them_on_sqlite() {
    links_are_mailed_and_nobody_else_is_told_them(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_mailed_and_nobody_else_is_told_them_on_postgresql() {
    links_are_mailed_and_nobody_else_is_told_them(Database::postgres().await).await;
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
