//! What a token opens, and where none may lie.

use std::fs;

use chancery_acceptance::{
    MailServer, PASSWORD, answer, code, complete, everything, in_session, nobody, sign_in,
};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::site::{OPEN, Plan, Site, invited};

on_both! {
    a_token_is_good_for_its_purpose_only_and_once
    no_token_is_in_the_database
}

/// What somebody who presents this token is told, at a door for tokens.
async fn at_door(site: &Site, door: &str, token: &str) -> (u16, String) {
    let (url, me) = (site.url(), "/api/identity/v1/operators/me");
    let cookie = json!({ "sessionToken": token, "csrfToken": "0" });
    let resolving = || nobody(&url, Method::POST, "/api/account-actions/v1/resolve");
    let told = match door {
        "confirm" => site.confirm(token).await,
        "complete" => complete(&url, token, "yet another password").await,
        "resolve" => answer(resolving().json(&json!({ "token": token }))).await,
        "bearer" => answer(nobody(&url, Method::GET, me).bearer_auth(token)).await,
        _ => answer(in_session(&url, &cookie, Method::GET, me)).await,
    };
    let (status, code) = code(&told);
    (status, code.to_owned())
}

#[expect(clippy::too_many_lines, reason = "every token at every door, in one deployment")]
async fn a_token_is_good_for_its_purpose_only_and_once(database: Database) {
    let settings = format!("[tenant]\nplatform-domain = \"tenants.example\"\n{}", OPEN.settings);
    let site = Site::open(database, &Plan { settings: &settings, ..OPEN }).await;
    let url = site.url();
    let mut homes = Vec::new();
    for slug in ["alpha", "beta"] {
        let (_, tenant) = site.deployment.call("tenancy.tenants.create", json!({ "slug": slug })).await;
        homes.push(tenant["tenantId"].as_str().expect("a tenant").to_owned());
    }
    let anna = site.administrator("anna", &homes[0]).await;
    site.administrator("berta", &homes[1]).await;
    let (_, made) = answer(
        in_session(&url, &anna, Method::POST, "/api/identity/v1/tokens").json(&json!({ "name": "script" })),
    )
    .await;
    let script = made["token"].as_str().unwrap().to_owned();
    let by_hand = json!({ "deliveryMethod": "MANUAL" });
    let reset = async || {
        let path = "/api/identity/v1/operators/anna/actions";
        let (_, given) = answer(site.deployment.request(Method::POST, path).json(&by_hand)).await;
        given["token"].as_str().unwrap().to_owned()
    };
    let (replaced, reset) = (reset().await, reset().await);
    let ines =
        json!({ "name": "ines", "role": "tenant-admin", "home": homes[0], "deliveryMethod": "MANUAL" });
    let inviting = site.deployment.request(Method::POST, "/api/identity/v1/operators");
    let (_, ines) = answer(inviting.json(&ines)).await;
    let activation = ines["activation"]["token"].as_str().unwrap().to_owned();
    site.asked("jo@example.com", "acme").await;
    let confirmation = site.token();
    let session = anna["sessionToken"].as_str().unwrap().to_owned();

    // For another purpose than its own, it is none.
    for (of, token, own) in [
        ("a signup", &confirmation, &["confirm"][..]),
        ("an invitation", &activation, &["complete", "resolve"]),
        ("a reset", &reset, &["complete", "resolve"]),
        ("a reset that was replaced", &replaced, &[]),
        ("a script", &script, &["bearer"]),
        ("a session", &session, &["cookie"]),
    ] {
        for (door, status, code) in [
            ("confirm", 404, "invalid_token"),
            ("complete", 404, "unknown_token"),
            ("resolve", 404, "unknown_token"),
            ("bearer", 401, "invalid_token"),
            ("cookie", 401, "authentication_required"),
        ] {
            if !own.contains(&door) {
                assert_eq!(at_door(&site, door, token).await, (status, code.to_owned()), "{of}, at {door}");
            }
        }
    }

    // Whatever host is asked for, and whoever is named: of one tenant, it is none of another's.
    let hosts = ["alpha.tenants.example", "beta.tenants.example"];
    let beta = format!("/api/platform/admin/v1/tenants/{}", homes[1]);
    for host in hosts {
        for bearer in [false, true] {
            let ask = async |method: Method, path: &str| {
                let request = if bearer {
                    nobody(&url, method, path).bearer_auth(&script)
                } else {
                    in_session(&url, &anna, method, path)
                };
                answer(request.header("host", host).header("x-tenant-id", &homes[1]).json(&json!({}))).await
            };
            let (_, myself) = ask(Method::GET, "/api/identity/v1/operators/me").await;
            assert_eq!(myself["home"], json!(homes[0]), "{host}");
            for (method, path, status, refusal) in [
                (Method::GET, beta.clone(), 404, "unknown_tenant"),
                (Method::GET, format!("{beta}/children"), 404, "unknown_tenant"),
                (Method::GET, format!("{beta}/domains"), 404, "unknown_tenant"),
                (Method::DELETE, beta.clone(), 403, "operators_only"),
                (Method::GET, format!("{beta}?tenant=beta"), 403, "permission_required"),
                (Method::GET, "/api/identity/v1/operators/berta".to_owned(), 404, "unknown_operator"),
                (
                    Method::POST,
                    "/api/identity/v1/operators/berta/disable".to_owned(),
                    404,
                    "unknown_operator",
                ),
                (
                    Method::POST,
                    "/api/identity/v1/operators/berta/actions".to_owned(),
                    404,
                    "unknown_operator",
                ),
            ] {
                assert_eq!(
                    code(&ask(method.clone(), &path).await),
                    (status, refusal),
                    "{method} {path} {host}"
                );
            }
        }
    }

    // For its own purpose it is good, once.
    let completing = nobody(&url, Method::POST, "/api/account-actions/v1/complete").header("host", hosts[1]);
    let completion = json!({ "token": activation, "password": PASSWORD });
    assert_eq!(answer(completing.json(&completion)).await.0, StatusCode::OK);
    let ines = sign_in(&url, "ines", PASSWORD).await;
    let me = in_session(&url, &ines, Method::GET, "/api/identity/v1/operators/me");
    assert_eq!(answer(me).await.1["home"], json!(homes[0]), "whatever host it was used at");
    assert_eq!(at_door(&site, "bearer", &script).await.0, 200);
    assert_eq!(at_door(&site, "cookie", &session).await.0, 200);
    assert_eq!(at_door(&site, "complete", &reset).await.0, 200);
    assert_eq!(at_door(&site, "cookie", &session).await, (401, "authentication_required".to_owned()));
    assert_eq!(at_door(&site, "confirm", &confirmation).await.0, 200);
    for (door, token, code) in [
        ("complete", &activation, "unknown_token"),
        ("complete", &reset, "unknown_token"),
        ("resolve", &reset, "unknown_token"),
        ("confirm", &confirmation, "invalid_token"),
    ] {
        assert_eq!(at_door(&site, door, token).await, (404, code.to_owned()), "again, at {door}");
    }
}

/// Neither in a table nor, where the database is a file, in what the engine has written beside it.
async fn no_token_is_in_the_database(database: Database) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut site = Site::with_mail(database, &OPEN, MailServer::start(), 1).await;
    site.deployment.stop();
    site.deployment.configure(&format!("port = {}", site.mail.port()), &format!("port = {port}"));
    site.deployment.start();
    let looked_into = async |site: &Site| {
        let mut found = everything(site.deployment.database()).await;
        if let Some(path) = site.deployment.database().strip_prefix("sqlite://") {
            for file in [path.to_owned(), format!("{path}-wal")] {
                let bytes = fs::read(&file).unwrap_or_default();
                found.push((file, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        found
    };
    site.asked("jo@example.com", "acme").await;
    let waiting = looked_into(&site).await;
    let held = waiting.iter().find(|(table, _)| table == "mail_outbox").expect("a mail waits");
    assert!(held.1.contains("PENDING") && held.1.contains("sealed:"), "{}", held.1);
    drop(silent);
    site.mail = MailServer::with(&["--port", &port.to_string()]);
    let confirmation = site.token();
    site.confirm(&confirmation).await;
    let registered = looked_into(&site).await;
    let (_, activation) = invited(&site.mail.next());
    let (_, secret) = confirmation.split_once('.').unwrap();
    for (place, text) in waiting.iter().chain(&registered) {
        for secret in [secret, &hex(secret), &activation, &hex(&activation)] {
            assert!(!text.contains(secret), "a token is in {place}");
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
