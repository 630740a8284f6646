//! What a server that dies in between leaves behind.

use std::{collections::BTreeSet, time::Duration};

use chancery_acceptance::{MailServer, PASSWORD, alone, code, complete, text_of};
use kit::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};
use store::sqlx;

use crate::site::{OPEN, Site, invited, token_of};

on_both! {
    a_signup_that_is_killed_has_one_tenant_and_one_administrator
    mail_survives_a_kill
    an_interrupted_registration_is_taken_up_again_by_the_server_itself
}

/// The mails that arrive, each of them once: one that was taken when its process died is sent again.
#[derive(Default)]
struct Letters(BTreeSet<String>);

impl Letters {
    fn next(&mut self, site: &Site) -> Value {
        loop {
            let mail = site.mail.next();
            if self.0.insert(mail["id"].as_str().unwrap().to_owned()) {
                return mail;
            }
        }
    }
}

async fn a_signup_that_is_killed_has_one_tenant_and_one_administrator(database: Database) {
    let (mut site, mut letters) = (Site::open(database, &OPEN).await, Letters::default());
    // As it is left by a process that died after the tenant was there, and before anybody was told.
    let id = site.asked("jo@example.com", "acme").await;
    let (_, confirmed) = site.confirm(&token_of(&letters.next(&site))).await;
    let tenant = &confirmed["registration"]["tenantId"];
    let (_, lost) = invited(&letters.next(&site));
    site.deployment.stop();
    for statement in [
        "DELETE FROM quota_outcome",
        "DELETE FROM identity_action",
        "DELETE FROM identity_operator WHERE role = 'tenant-admin'",
        "UPDATE signup_request SET status = 'CONFIRMED', registered_at = NULL, registered_tenant = NULL,
             confirmed_at = confirmed_at - 60000000",
    ] {
        site.change(statement).await;
    }
    site.deployment.start();
    site.is_registered(&id).await;
    let operators = site.operators(tenant).await;
    assert_eq!((operators.len(), &operators[0]["name"]), (1, &json!("jo@example.com")));
    assert_eq!(code(&complete(&site.url(), &lost, PASSWORD).await), (404, "unknown_token"));
    let (_, token) = invited(&letters.next(&site));
    assert_eq!(complete(&site.url(), &token, PASSWORD).await.0, StatusCode::OK);

    // Wherever it dies.
    for (at, after) in [10, 40, 120].into_iter().enumerate() {
        let slug = format!("killed-{at}");
        let id = site.asked(&format!("{slug}@example.com"), &slug).await;
        let token = token_of(&letters.next(&site));
        let confirming = site.anyone("/confirm").json(&json!({ "plainVerificationToken": token })).send();
        let confirming = tokio::spawn(confirming);
        tokio::time::sleep(Duration::from_millis(after)).await;
        site.deployment.kill();
        drop(confirming.await);
        alone(site.deployment.database()).await;
        // Time passes, so that nobody is taken to be still at work on it.
        site.change("UPDATE signup_request SET confirmed_at = confirmed_at - 60000000").await;
        site.change("UPDATE quota_outcome SET expires_at = 1").await;
        site.deployment.start();
        if site.status(&id).await == "PENDING_EMAIL" {
            assert_eq!(site.confirm(&token).await.0, StatusCode::OK);
        }
        site.is_registered(&id).await;
        let tenant = json!(site.deployment.tenant(&slug).await);
        assert_eq!(site.operators(&tenant).await.len(), 1, "{slug}");
        let (name, token) = invited(&letters.next(&site));
        assert_eq!(name, format!("{slug}@example.com"));
        assert_eq!(complete(&site.url(), &token, PASSWORD).await.0, StatusCode::OK);
    }
    let slugs = site.tenants().await;
    assert_eq!(slugs.len(), 5, "{slugs:?}");
    let written = text_of(site.deployment.database(), "SELECT CAST(count(*) AS TEXT) FROM mail_outbox").await;
    assert_eq!(written, "9", "two to each of them, and the one that was lost");
}

async fn mail_survives_a_kill(database: Database) {
    // A server that takes connections and says nothing, so that the mail is held when the power goes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let stand_in = MailServer::start();
    let mut site = Site::with_mail(database, &OPEN, stand_in, 1).await;
    assert!(site.deployment.stop());
    site.deployment.configure(&format!("port = {}", site.mail.port()), &format!("port = {port}"));
    site.deployment.start();
    let id = site.asked("jo@example.com", "acme").await;
    std::thread::sleep(Duration::from_millis(1500));
    site.deployment.kill();
    drop(silent);

    site.mail = MailServer::with(&["--port", &port.to_string()]);
    site.deployment.start();
    let mail = site.mail.next();
    let message_id = mail["id"].as_str().unwrap();
    let store = site.store().await;
    let known: Vec<String> =
        sqlx::query_scalar("SELECT id FROM mail_outbox").fetch_all(store.reader()).await.unwrap();
    store.close().await;
    assert_eq!(
        message_id,
        format!("<{}@platform.example.com>", known[0]),
        "a duplicate would have the same id"
    );
    let (status, confirmed) = site.confirm(&token_of(&mail)).await;
    assert_eq!((status, &confirmed["status"]), (StatusCode::OK, &json!("REGISTERED")), "{confirmed}");
    assert_eq!(site.status(&id).await, "REGISTERED");
}

async fn an_interrupted_registration_is_taken_up_again_by_the_server_itself(database: Database) {
    let mut site = Site::open(database, &OPEN).await;
    let id = site.asked("jo@example.com", "acme").await;
    site.token();
    assert!(site.deployment.stop());
    site.change("UPDATE signup_request SET status = 'CONFIRMED', token_hash = '', confirmed_at = created_at - 60000000").await;
    site.deployment.start();
    site.is_registered(&id).await;
    assert_eq!(site.tenants().await.iter().filter(|slug| *slug == "acme").count(), 1);
}
