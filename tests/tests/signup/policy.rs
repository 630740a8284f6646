//! What configuration and operators have decided, and what is told of it.

use std::{fs, time::Duration};

use chancery_acceptance::{MailServer, answer, code, text_of};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::site::{ONBOARDING, OPEN, Plan, Site, wanted};

on_both! {
    what_is_switched_off_after_somebody_has_asked_is_refused_and_leaves_nothing
    what_is_asked_beneath_a_tenant_has_settings_of_its_own
    each_way_to_a_tenant_is_closed_for_the_first_reason_that_holds
}

async fn decide(site: &Site, toggles: Value) {
    let (status, body) = answer(site.deployment.request(Method::PUT, ONBOARDING).json(&toggles)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

async fn what_is_switched_off_after_somebody_has_asked_is_refused_and_leaves_nothing(database: Database) {
    let site = Site::open(database.another().await, &OPEN).await;
    let id = site.asked("jo@example.com", "acme").await;
    let token = site.token();
    decide(&site, json!({ "selfSignupEnabled": false })).await;
    assert_eq!(code(&site.confirm(&token).await), (403, "onboarding_refused"));
    assert_eq!((site.status(&id).await.as_str(), site.tenants().await), ("FAILED", vec!["demo".to_owned()]));

    // Whose wish a registration is, its log tells.
    decide(&site, json!({ "selfSignupEnabled": true })).await;
    site.asked("jo@example.com", "acme").await;
    let confirming = site.anyone("/confirm").header("x-correlation-id", "confirming");
    let (status, confirmed) =
        answer(confirming.json(&json!({ "plainVerificationToken": site.token() }))).await;
    assert_eq!((status, &confirmed["status"]), (StatusCode::OK, &json!("REGISTERED")), "{confirmed}");
    let log = "/api/platform/admin/v1/tenant-onboarding/confirming";
    let (_, log) = answer(site.deployment.request(Method::GET, log)).await;
    assert_eq!((&log["status"], &log["source"]), (&json!("COMPLETED"), &json!("SELF_SIGNUP")), "{log}");

    // What was approved waits for another decision; what was rejected, even unconfirmed, is over.
    let site = Site::open(database.another().await, &Plan { approval: true, ..OPEN }).await;
    let id = site.asked("jo@example.com", "acme").await;
    site.confirm(&site.token()).await;
    decide(&site, json!({ "selfSignupEnabled": false })).await;
    assert_eq!(code(&site.decide(&id, "approve").await), (403, "onboarding_refused"));
    assert_eq!((site.status(&id).await.as_str(), site.tenants().await.len()), ("PENDING_APPROVAL", 1));
    decide(&site, json!({ "selfSignupEnabled": true })).await;
    assert_eq!(site.decide(&id, "approve").await.0, StatusCode::OK);
    site.mail.next();
    let id = site.asked("al@example.com", "other").await;
    let token = site.token();
    assert_eq!(site.decide(&id, "reject").await.0, StatusCode::OK);
    assert_eq!(code(&site.confirm(&token).await), (404, "invalid_token"));
    assert_eq!(site.status(&id).await, "REJECTED");
}

async fn what_is_asked_beneath_a_tenant_has_settings_of_its_own(database: Database) {
    let plan = Plan {
        settings: "[tenant.signup.platform]\nenabled = false\n\
                   [tenant.signup.children]\nenabled = true\nrequire-approval = true\nmax-resends = 0\n\
                   rate-limit-per-email = 2\nrate-limit-per-ip = 6\nrate-limit-window = \"PT1H\"\ntoken-ttl = \"PT10M\"\n",
        ..OPEN
    };
    let site = Site::open(database, &plan).await;
    assert_eq!(code(&site.ask("jo@example.com", "root").await), (403, "signup_disabled"));
    let parent = site.deployment.tenant("demo").await;
    let beneath = async |email: &str| {
        let mut body = wanted(email, "branch");
        body["parentTenantId"] = json!(parent);
        answer(site.anyone("/request").json(&body)).await
    };
    let (status, accepted) = beneath("jo@example.com").await;
    assert_eq!((status, &accepted["requiresApproval"]), (StatusCode::ACCEPTED, &json!(true)), "{accepted}");
    let lives = text_of(
        site.deployment.database(),
        "SELECT CAST((expires_at - created_at) / 1000000 AS TEXT) FROM signup_request",
    );
    assert_eq!(lives.await, "600");
    let token = site.token();

    let id = accepted["signupRequestId"].as_str().unwrap();
    let (status, _) = answer(site.anyone(&format!("/{id}/resend")).json(&json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(site.confirm(&token).await.1["status"], "PENDING_APPROVAL", "there was no other link");
    assert_eq!(beneath("jo@example.com").await.0, StatusCode::ACCEPTED);
    assert_eq!(code(&beneath("Jo+more@example.com").await), (429, "too_many_requests"));
    assert_eq!(beneath("al@example.com").await.0, StatusCode::ACCEPTED);
    assert_eq!(code(&beneath("di@example.com").await), (429, "too_many_requests"), "from one place");
}

/// Each case: what the deployment has, and why the ways to a root tenant by an operator and by an invitation, to one by
/// signing up, and to one beneath another are closed.
async fn each_way_to_a_tenant_is_closed_for_the_first_reason_that_holds(database: Database) {
    let reasons = async |site: &Site| {
        let path = format!("{ONBOARDING}/availability");
        let (status, matrix) = answer(site.deployment.request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::OK, "{matrix}");
        assert_eq!(matrix["applicationTenant"], json!({ "enabled": true }));
        ["rootTenantCreation", "adminInvite", "selfSignup", "subtenants"].map(|way| {
            let reason = matrix[way]["reason"].as_str().unwrap_or_default().to_owned();
            assert_eq!(matrix[way]["enabled"], json!(reason.is_empty()), "{way}: {matrix}");
            reason
        })
    };
    let is = async |site: &Site, expected: [&str; 4]| {
        // Whether the mail server answers is known a moment after it was asked.
        for _ in 0..100 {
            if reasons(site).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(reasons(site).await, expected);
    };
    let closed = json!({
        "rootTenantCreationEnabled": false, "adminInviteEnabled": false,
        "selfSignupEnabled": false, "subtenantSignupEnabled": false,
    });
    let (unhealthy, unmailed) = ("runtime_email_unhealthy", "config_missing_email");
    let mut site = Site::open(database.another().await, &OPEN).await;
    is(&site, ["", "", "", ""]).await;
    decide(&site, closed.clone()).await;
    is(
        &site,
        [
            "config_disabled_root_tenant_creation",
            "config_disabled_admin_invite",
            "config_disabled_self_signup",
            "config_disabled_subtenant_signup",
        ],
    )
    .await;
    decide(
        &site,
        json!({
            "rootTenantCreationEnabled": true, "adminInviteEnabled": true,
            "selfSignupEnabled": true, "subtenantSignupEnabled": true,
        }),
    )
    .await;
    site.deployment.stop();
    let port = site.mail.port();
    site.mail = MailServer::start();
    site.deployment.start();
    is(&site, ["", unhealthy, unhealthy, unhealthy]).await;
    site.deployment.stop();
    let mail = format!(
        "[mail]\nfrom = \"Platform <no-reply@platform.example.com>\"\n[mail.smtp]\nhost = \"127.0.0.1\"\n\
         port = {port}\nsecurity = \"none\"\ntimeout-seconds = 5\n"
    );
    site.deployment.configure(&mail, "");
    site.deployment.start();
    is(&site, ["", unmailed, unmailed, unmailed]).await;

    // The license comes first, whatever else is missing.
    decide(&site, closed).await;
    let root = "config_disabled_root_tenant_creation";
    let invite = "config_disabled_admin_invite";
    for (plan, expected) in [
        (
            Plan { without: &["tenancy.subtenants.v1"], ..OPEN },
            [root, invite, "config_disabled_self_signup", "license_missing_subtenants"],
        ),
        (
            Plan { edition: "pro", ..OPEN },
            [root, invite, "license_missing_self_signup", "license_missing_self_signup"],
        ),
    ] {
        site.deployment.stop();
        site.license(&plan);
        site.deployment.start();
        is(&site, expected).await;
    }
    site.deployment.stop();
    fs::write(site.deployment.path("license.jwe"), "this is no license").unwrap();
    site.deployment.start();
    is(&site, ["license_missing"; 4]).await;

    let site = Site::open(database.another().await, &Plan { challenge: false, ..OPEN }).await;
    let unverified = "config_missing_challenge_verifier";
    is(&site, ["", "", unverified, unverified]).await;

    // Links have no address, so nobody can be sent one.
    let plan = Plan { settings: "[tenant.signup.platform]\nenabled = false\n", ..OPEN };
    let mut site = Site::open(database.another().await, &plan).await;
    site.deployment.stop();
    site.deployment.configure("public-url = \"https://platform.example.com\"", "");
    site.deployment.start();
    let (signup, subtenants) = ("config_disabled_self_signup", "config_disabled_subtenant_signup");
    is(&site, ["", unmailed, signup, subtenants]).await;
}
