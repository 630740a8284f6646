//! What becomes of a request, and what it is refused for.

use std::time::Duration;

use chancery_acceptance::{MailServer, Replica, answer, code};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::json;
use store::sqlx;

use crate::site::{ONBOARDING, OPEN, Plan, SIGNUP, Site, token_of, wanted};

on_both! {
    from_a_request_to_a_tenant
    asking_tells_nothing_by_its_answer_or_its_work
    with_approval
    a_token_works_once_and_only_its_own
    links_are_limited_and_expire
    replicas_count_together
    nobody_signs_up_without_a_verifier_a_proof_the_feature_or_a_decision
    tenants_beneath_tenants_are_signed_up_for
    the_matrix_names_the_first_reason
}

async fn from_a_request_to_a_tenant(database: Database) {
    let site = Site::open(database, &OPEN).await;
    let (status, accepted) = site.ask("jo@example.com", "acme").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let keys: Vec<_> = accepted.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["signupRequestId", "expiresAt", "requiresApproval", "emailDelivery"]);
    assert_eq!(
        (&accepted["requiresApproval"], &accepted["emailDelivery"]["status"]),
        (&json!(false), &json!("QUEUED"))
    );

    let mail = site.mail.next();
    assert_eq!((&mail["to"], &mail["subject"]), (&json!(["jo@example.com"]), &json!("Confirm your address")));
    assert!(!mail["text"].as_str().unwrap().contains("company"), "no text of the one who asks is mailed");
    let token = token_of(&mail);
    let (status, confirmed) = site.confirm(&token).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    assert_eq!(
        (&confirmed["status"], &confirmed["registration"]["slug"]),
        (&json!("REGISTERED"), &json!("acme"))
    );
    assert!(site.tenants().await.contains(&"acme".to_owned()));
    let mail = site.mail.next();
    assert_eq!(
        (&mail["to"], &mail["subject"]),
        (&json!(["jo@example.com"]), &json!("Your tenant is registered"))
    );
    assert!(!mail["text"].as_str().unwrap().contains("company"), "no text of the one who asked is mailed");
    let (status, tenant) = site.deployment.call("tenancy.tenants.list", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let tenant = tenant["tenants"].as_array().unwrap().iter().find(|it| it["slug"] == "acme").unwrap();
    assert_eq!(
        (&tenant["name"], &tenant["tenantId"]),
        (&json!("The acme company"), &confirmed["registration"]["tenantId"])
    );

    // Asking for what exists is answered like asking for what does not; the registration tells.
    let (status, again) = site.ask("jo@example.com", "acme").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(again.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    let answer = site.confirm(&site.token()).await;
    assert_eq!(code(&answer), (409, "slug_taken"));
    assert_eq!(site.status(again["signupRequestId"].as_str().unwrap()).await, "FAILED");

    // Nothing of a token or of an address is kept, or logged.
    let store = site.store().await;
    let kept: Vec<String> = sqlx::query_scalar("SELECT token_hash || source_hash FROM signup_request")
        .fetch_all(store.reader())
        .await
        .unwrap();
    let mailed: Vec<String> = sqlx::query_scalar("SELECT body FROM mail_outbox WHERE state = 'SENT'")
        .fetch_all(store.reader())
        .await
        .unwrap();
    store.close().await;
    assert!(kept.iter().all(|kept| kept.len() == 64), "used tokens have no hash: {kept:?}");
    assert!(!kept.concat().contains("127.0.0.1") && mailed.concat().is_empty());
    assert!(!site.deployment.logged().contains(&token) && !site.deployment.logged().contains("127.0.0.1\""));
}

/// A slug and an address that are known are answered as those that are not: the same bytes but for ids and times, for the
/// same statements.
async fn asking_tells_nothing_by_its_answer_or_its_work(database: Database) {
    let mut site = Site::open(database, &OPEN).await;
    site.asked("jo@example.com", "acme").await;
    assert_eq!(site.confirm(&site.token()).await.1["status"], "REGISTERED");
    site.mail.next();
    let known = site.asked("jo@example.com", "waits").await;
    site.mail.next();
    site.deployment.stop();
    site.deployment.configure("filter = \"warn,", "filter = \"sqlx::query=debug,warn,");
    site.deployment.start();
    let mut seen = site.deployment.logged().len();
    let mut since = || {
        let log = site.deployment.logged();
        let work = log[seen..].lines().filter(|line| line.contains("sqlx::query"));
        // The server's own tasks ask in between.
        let count = |verb: &str, table: &str| {
            work.clone().filter(|line| line.contains(verb) && line.contains(table)).count()
        };
        let counted = [
            count("INSERT", "signup_request"),
            count("UPDATE", "signup_request SET token_hash"),
            count("SELECT", "signup_request WHERE id"),
            count("INSERT", "signup_bucket"),
            count("INSERT", "mail_outbox"),
            count("SELECT", "tenancy_tenant WHERE slug"),
            count("SELECT", "identity_operator"),
        ];
        seen = log.len();
        counted
    };
    let mut told = Vec::new();
    for (email, slug) in [
        ("jo@example.com", "acme"),
        ("new@example.com", "free"),
        ("jo@example.com", "free"),
        ("newer@example.com", "acme"),
    ] {
        since();
        let (status, mut body) = site.ask(email, slug).await;
        body["signupRequestId"].take();
        body["expiresAt"].take();
        told.push((status, body.to_string(), since()));
        site.mail.next();
    }
    assert!(told.iter().all(|it| *it == told[0]), "{told:#?}");
    let (status, _, [inserted, _, read, _, mailed, tenants, operators]) = &told[0];
    assert_eq!(*status, StatusCode::ACCEPTED);
    assert_eq!((*inserted, *read, *mailed, *tenants, *operators), (1, 0, 1, 0, 0), "it can be counted");

    // What is no token is looked up as one that is.
    let mut refused = Vec::new();
    let other = format!("{}.{}", known.replace('-', ""), "0".repeat(64));
    for token in [other.as_str(), &format!("{}.{}", "0".repeat(32), "0".repeat(64))] {
        since();
        let (status, mut body) = site.confirm(token).await;
        body["error"]["correlationId"].take();
        refused.push((status, body.to_string(), since()));
    }
    assert_eq!(refused[0], refused[1]);
}

async fn with_approval(database: Database) {
    let plan = Plan { approval: true, quotas: &[("tenants.total.max", 2)], ..OPEN };
    let site = Site::open(database, &plan).await;
    let mut ids = Vec::new();
    for slug in ["one", "two", "three"] {
        ids.push(site.asked(&format!("z{slug}@example.com"), slug).await);
        let (status, confirmed) = site.confirm(&site.token()).await;
        assert_eq!(
            (status, &confirmed["status"]),
            (StatusCode::OK, &json!("PENDING_APPROVAL")),
            "{confirmed}"
        );
    }
    assert_eq!(site.tenants().await, ["demo"], "nothing is registered before somebody approves");
    assert_eq!(site.pending("").await, ["one", "two", "three"]);
    assert_eq!(site.pending("?sort=email&limit=2").await, ["one", "three"]);
    assert_eq!(site.pending(&format!("?sort=email&after={}", ids[2])).await, ["two"]);
    let (status, _) = answer(site.anyone(&format!("/{}/approve", ids[0])).json(&json!({}))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let (status, approved) = site.decide(&ids[0], "approve").await;
    assert_eq!((status, &approved["status"]), (StatusCode::OK, &json!("REGISTERED")), "{approved}");
    assert_eq!(site.mail.next()["to"], json!(["zone@example.com"]));
    assert_eq!(code(&site.decide(&ids[0], "approve").await), (409, "signup_misplaced"));

    // The cap of the license is charged where the tenant is made; the request waits for a larger one.
    let full = site.decide(&ids[1], "approve").await;
    assert_eq!(code(&full), (403, "quota_exceeded"), "{full:?}");
    assert_eq!(site.pending("").await, ["two", "three"]);

    let (status, rejected) = site.decide(&ids[2], "reject").await;
    assert_eq!((status, rejected), (StatusCode::OK, json!({ "rejected": true })));
    assert_eq!(site.mail.next()["subject"], "Your tenant was not approved");
    assert_eq!(code(&site.decide(&ids[2], "approve").await), (409, "signup_misplaced"));
    assert_eq!(site.pending("").await, ["two"]);
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(code(&site.decide(nobody, "approve").await), (404, "unknown_signup_request"));
}

async fn a_token_works_once_and_only_its_own(database: Database) {
    let site = Site::open(database, &OPEN).await;
    let id = site.asked("jo@example.com", "acme").await;
    let first = site.token();
    let (before, secret) = first.split_once('.').unwrap();
    assert_eq!((before.len(), secret.len()), (32, 64), "a request and 256 bits");

    let other = site.asked("al@example.com", "other").await;
    let foreign = site.token();
    let crossed = format!("{before}.{}", foreign.split_once('.').unwrap().1);
    let flipped = format!("{before}.{}", secret.chars().rev().collect::<String>());
    let operator = site.deployment.credentials()["token"].as_str().unwrap().to_owned();
    for wrong in
        ["", ".", before, secret, &crossed, &flipped, &format!("{before}."), &operator, &"a".repeat(5000)]
    {
        assert_eq!(code(&site.confirm(wrong).await), (404, "invalid_token"), "{wrong}");
    }

    // It is taken in a body only, for addresses are logged on the way.
    let asked = format!("/confirm?plainVerificationToken={foreign}");
    assert_eq!(code(&answer(site.anyone(&asked).json(&json!({}))).await), (400, "invalid_input"));

    // Another link ends the one before. The answer is the same where there is no such request.
    let (status, body) = answer(site.anyone(&format!("/{id}/resend")).json(&json!({}))).await;
    assert_eq!((status, &body), (StatusCode::ACCEPTED, &json!({ "signupRequestId": id })));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let (status, body) = answer(site.anyone(&format!("/{nobody}/resend")).json(&json!({}))).await;
    assert_eq!((status, &body), (StatusCode::ACCEPTED, &json!({ "signupRequestId": nobody })));
    let second = site.token();
    assert_eq!(code(&site.confirm(&first).await), (404, "invalid_token"));

    // Two at once: one has a tenant.
    let (one, two) = tokio::join!(site.confirm(&second), site.confirm(&second));
    let mut statuses = [one.0.as_u16(), two.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_eq!(code(&site.confirm(&second).await), (404, "invalid_token"));
    assert_eq!(site.tenants().await.iter().filter(|slug| *slug == "acme").count(), 1);
    assert_eq!(site.status(&other).await, "PENDING_EMAIL", "another's request is untouched");
}

async fn links_are_limited_and_expire(database: Database) {
    let plan = Plan {
        settings: "[tenant.signup.platform]\nenabled = true\nrequire-approval = false\nmax-resends = 2\n\
                   rate-limit-per-email = 4\nrate-limit-window = \"PT1H\"\ntoken-ttl = \"PT10M\"\n",
        ..OPEN
    };
    let site = Site::open(database, &plan).await;
    let id = site.asked("jo@example.com", "acme").await;
    site.token();
    for _ in 0..2 {
        let (status, _) = answer(site.anyone(&format!("/{id}/resend")).json(&json!({}))).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        site.token();
    }
    let (status, _) = answer(site.anyone(&format!("/{id}/resend")).json(&json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "what is refused is not told");
    assert!(site.mail.is_quiet_for(Duration::from_secs(3)), "the third is none");

    // Three mails are sent to this mailbox, however it is spelled; the fourth is the last.
    site.asked("Jo+x@example.com", "acme").await;
    let last = site.token();
    let (status, body) = site.ask("jo@Example.com", "acme").await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests"))
    );
    let response = site.anyone("/request").json(&wanted("JO@example.com", "acme")).send().await.unwrap();
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    site.asked("al@example.com", "acme").await;
    site.token();

    // A link that is too old is none, before and after it is reconciled.
    site.change("UPDATE signup_request SET expires_at = created_at").await;
    assert_eq!(code(&site.confirm(&last).await), (404, "invalid_token"));
    let reconcile = async || {
        let path = format!("{SIGNUP}/reconcile/expired");
        answer(site.deployment.request(Method::POST, &path).json(&json!({}))).await
    };
    let (status, first) = reconcile().await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(reconcile().await.1, json!({ "expiredCount": 0 }), "done twice, it changes nothing more");
    assert_eq!(site.status(&id).await, "EXPIRED");
    assert_eq!(code(&site.confirm(&last).await), (404, "invalid_token"));
    assert_eq!(code(&site.decide(&id, "approve").await), (409, "signup_misplaced"));
}

async fn replicas_count_together(database: Database) {
    let plan = Plan {
        settings: "[tenant.signup.platform]\nenabled = true\nrequire-approval = false\nrate-limit-per-ip = 6\n",
        ..OPEN
    };
    let site = Site::open(database, &plan).await;
    let replica = site.deployment.replica();
    let ask = |replica: Option<&Replica>, at: usize| {
        let body = json!({ "email": "jo@example.com", "slug": format!("t{at}"), "displayName": "T", "challengeProof": "wrong" });
        let request = match replica {
            Some(replica) => replica.request(Method::POST, &format!("{SIGNUP}/request")),
            None => site.anyone("/request"),
        };
        answer(request.json(&body))
    };
    let mut statuses = Vec::new();
    for at in 0..8 {
        statuses.push(ask(Some(&replica).filter(|_| at % 2 == 0), at).await.0.as_u16());
    }
    assert_eq!(
        statuses,
        [403, 403, 403, 403, 403, 403, 429, 429],
        "also what fails the challenge is counted"
    );
}

async fn nobody_signs_up_without_a_verifier_a_proof_the_feature_or_a_decision(database: Database) {
    let site = Site::open(database.another().await, &OPEN).await;
    let without_proof = json!({ "email": "jo@example.com", "slug": "acme", "displayName": "Acme" });
    assert_eq!(
        code(&answer(site.anyone("/request").json(&without_proof)).await),
        (403, "challenge_rejected")
    );
    let mut wrong = wanted("jo@example.com", "acme");
    wrong["challengeProof"] = json!("a-program");
    assert_eq!(code(&answer(site.anyone("/request").json(&wrong)).await), (403, "challenge_rejected"));
    for (field, value) in [
        ("email", json!("jo@example.com\r\nBcc: all@example.com")),
        ("slug", json!("a--b")),
        ("displayName", json!("")),
        ("status", json!("CONFIRMED")),
        ("approvedById", json!("operator:admin")),
        ("sourceIpHash", json!("00")),
    ] {
        let mut body = wanted("jo@example.com", "acme");
        body[field] = value;
        assert_eq!(
            code(&answer(site.anyone("/request").json(&body)).await),
            (400, "invalid_input"),
            "{field}"
        );
    }
    let closed = json!({ "selfSignupEnabled": false });
    answer(site.deployment.request(Method::PUT, ONBOARDING).json(&closed)).await;
    assert_eq!(code(&site.ask("jo@example.com", "acme").await), (403, "signup_disabled"));
    assert!(site.mail.is_quiet_for(Duration::from_secs(2)));

    let site = Site::open(database.another().await, &Plan { challenge: false, ..OPEN }).await;
    assert_eq!(code(&site.ask("jo@example.com", "acme").await), (403, "challenge_rejected"));

    let site = Site::open(database.another().await, &Plan { edition: "pro", ..OPEN }).await;
    let denied = site.ask("jo@example.com", "acme").await;
    assert_eq!(code(&denied), (402, "feature_requires_paid_license"));
    assert_eq!(denied.1["error"]["details"]["reason"], "CEILING_EXCEEDED");
}

async fn tenants_beneath_tenants_are_signed_up_for(database: Database) {
    let site = Site::open(database, &OPEN).await;
    let (_, demo) = site.deployment.call("tenancy.tenants.list", json!({})).await;
    let parent = demo["tenants"][0]["tenantId"].clone();
    let mut body = wanted("jo@example.com", "branch");
    body["parentTenantId"] = parent.clone();
    let (status, accepted) = answer(site.anyone("/request").json(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let (status, confirmed) = site.confirm(&site.token()).await;
    assert_eq!((status, &confirmed["status"]), (StatusCode::OK, &json!("REGISTERED")), "{confirmed}");
    site.mail.next();

    // Whether there is such a parent is not told before the address is confirmed.
    body["parentTenantId"] = json!("00000000-0000-4000-8000-000000000000");
    let (status, _) = answer(site.anyone("/request").json(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(code(&site.confirm(&site.token()).await), (404, "unknown_tenant"));
}

async fn the_matrix_names_the_first_reason(database: Database) {
    let reasons = async |site: &Site| {
        let path = format!("{ONBOARDING}/availability");
        let (status, matrix) = answer(site.deployment.request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::OK, "{matrix}");
        matrix
    };
    let mut site = Site::open(database.another().await, &OPEN).await;
    site.asked("jo@example.com", "acme").await;
    site.token();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let open = reasons(&site).await;
    assert_eq!(open["selfSignup"], json!({ "enabled": true }), "{open}");
    assert_eq!(open["email"], json!({ "configured": true, "healthy": true }));

    let closed = json!({ "selfSignupEnabled": false });
    answer(site.deployment.request(Method::PUT, ONBOARDING).json(&closed)).await;
    assert_eq!(reasons(&site).await["selfSignup"]["reason"], "config_disabled_self_signup");
    answer(site.deployment.request(Method::PUT, ONBOARDING).json(&json!({ "selfSignupEnabled": true })))
        .await;

    site.deployment.stop();
    let port = site.mail.port();
    site.mail = MailServer::start();
    site.deployment.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let unhealthy = reasons(&site).await;
    assert_eq!(unhealthy["selfSignup"]["reason"], "runtime_email_unhealthy", "{unhealthy} {port}");
    assert_eq!(unhealthy["email"], json!({ "configured": true, "healthy": false }));

    let site = Site::open(database.another().await, &Plan { edition: "pro", challenge: false, ..OPEN }).await;
    assert_eq!(reasons(&site).await["selfSignup"]["reason"], "license_missing_self_signup");
    let site = Site::open(database.another().await, &Plan { challenge: false, ..OPEN }).await;
    assert_eq!(reasons(&site).await["selfSignup"]["reason"], "config_missing_challenge_verifier");
}
