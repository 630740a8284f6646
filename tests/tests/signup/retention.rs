//! How long what was asked for is kept.

use std::time::Duration;

use chancery_acceptance::{code, everything};
use kit::Database;
use reqwest::StatusCode;

use crate::site::{OPEN, Plan, Site};

on_both! {
    a_request_is_forgotten_some_time_after_its_end_and_never_while_it_waits
}

/// The slugs of the requests that are kept.
async fn kept(site: &Site) -> Vec<String> {
    let rows = everything(site.deployment.database()).await;
    let of_requests = rows.into_iter().filter(|(table, _)| table == "signup_request");
    of_requests
        .map(|(_, row)| {
            let (before, _) = row.split_once("@example.com").expect("an address");
            before.rsplit(|letter: char| !letter.is_ascii_lowercase()).next().unwrap().to_owned()
        })
        .collect()
}

/// Waits until the server has looked after them: it forgets this one, and whatever else it is to forget.
async fn forgotten(site: &Site, slug: &str) -> Vec<String> {
    for _ in 0..300 {
        let mut kept = kept(site).await;
        if !kept.iter().any(|it| it == slug) {
            kept.sort();
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{slug} is kept");
}

async fn a_request_is_forgotten_some_time_after_its_end_and_never_while_it_waits(database: Database) {
    let settings = format!("[tenant.signup]\nretention-days = 10\n{}", OPEN.settings);
    let mut site = Site::open(database, &Plan { settings: &settings, approval: true, ..OPEN }).await;
    let mut ids = Vec::new();
    for (slug, verb, status) in [
        ("first", "reject", "REJECTED"),
        ("rejected", "reject", "REJECTED"),
        ("registered", "approve", "REGISTERED"),
        // This slug is taken.
        ("demo", "approve", "FAILED"),
        ("waits", "", "PENDING_APPROVAL"),
    ] {
        let id = site.asked(&format!("{slug}@example.com"), slug).await;
        site.confirm(&site.token()).await;
        if !verb.is_empty() {
            site.decide(&id, verb).await;
            if status != "FAILED" {
                site.mail.next();
            }
        }
        assert_eq!(site.status(&id).await, status);
        ids.push(id);
    }
    ids.push(site.asked("expired@example.com", "expired").await);
    site.token();
    site.deployment.stop();
    site.change("UPDATE signup_request SET expires_at = created_at WHERE slug = 'expired'").await;

    // Ten days less an hour later, and for the first an hour more than that.
    for statement in [
        "UPDATE signup_request SET created_at = created_at - 860400000000, expires_at = expires_at - 860400000000,
             confirmed_at = confirmed_at - 860400000000, rejected_at = rejected_at - 860400000000,
             registered_at = registered_at - 860400000000",
        "UPDATE signup_request SET rejected_at = rejected_at - 7200000000 WHERE slug = 'first'",
    ] {
        site.change(statement).await;
    }
    site.deployment.start();
    assert_eq!(forgotten(&site, "first").await, ["demo", "expired", "registered", "rejected", "waits"]);
    for (at, id) in ids.iter().enumerate() {
        let told = site.decide(id, "approve").await;
        match at {
            0 => assert_eq!(code(&told), (404, "unknown_signup_request")),
            // It waited, and goes on.
            4 => assert_eq!(told.0, StatusCode::OK, "{told:?}"),
            _ => assert_eq!(code(&told), (409, "signup_misplaced")),
        }
    }

    site.deployment.stop();
    site.change(
        "UPDATE signup_request SET expires_at = expires_at - 7200000000, confirmed_at = confirmed_at - 7200000000,
             rejected_at = rejected_at - 7200000000, registered_at = registered_at - 7200000000",
    )
    .await;
    site.deployment.start();
    assert_eq!(forgotten(&site, "rejected").await, ["waits"], "it has come to its end only now");
}
