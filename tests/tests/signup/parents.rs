//! What must hold of the tenant that another signs up beneath.

use std::time::Duration;

use chancery_acceptance::{answer, code, text_of};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::site::{ONBOARDING, OPEN, Plan, Site, wanted};

const ADMIN: &str = "/api/platform/admin/v1";
const SUBTENANTS: &str = "tenancy.subtenants.v1";

on_both! {
    nobody_signs_up_beneath_a_tenant_under_a_license_without_subtenants
    what_was_approved_waits_for_a_license_with_subtenants
    nobody_signs_up_beneath_a_tenant_that_was_not_handed_subtenants
}

/// Asks for a tenant beneath this one, and confirms.
async fn beneath(site: &Site, parent: &str, slug: &str) -> (String, (StatusCode, Value)) {
    let mut body = wanted("jo@example.com", slug);
    body["parentTenantId"] = json!(parent);
    let (status, accepted) = answer(site.anyone("/request").json(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let confirmed = site.confirm(&site.token()).await;
    (accepted["signupRequestId"].as_str().unwrap().to_owned(), confirmed)
}

async fn get(site: &Site, path: &str) -> Value {
    let (status, body) = answer(site.deployment.request(Method::GET, path)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// What the platform and this tenant have used of every quota.
async fn used(site: &Site, tenant: &str) -> Vec<Value> {
    let mut quotas = get(site, &format!("{ADMIN}/quotas?tenantId={tenant}")).await["quotas"].take();
    let quotas = quotas.as_array_mut().unwrap().iter_mut();
    quotas
        .map(|quota| json!(["quotaKey", "scope", "used", "reserved"].map(|field| quota[field].take())))
        .collect()
}

/// What the license did not let through, as the audit tells it: each command with its reason.
async fn denied(site: &Site) -> Vec<String> {
    let page = get(site, "/api/audit/v1/events?result=policy-denied").await;
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let events = page["events"].as_array().unwrap().iter();
    events
        .map(|event| ["event", "commandId", "errorCode"].map(|field| text(event, field)).join(" "))
        .collect()
}

/// The one event of a denied child.
fn of_child(reason: &str) -> [String; 1] {
    [format!("license.command.denied tenancy.children.create {reason}")]
}

async fn nobody_signs_up_beneath_a_tenant_under_a_license_without_subtenants(database: Database) {
    let site = Site::open(database, &Plan { without: &[SUBTENANTS], ..OPEN }).await;
    let parent = site.deployment.tenant("demo").await;
    let before = used(&site, &parent).await;
    let (id, refused) = beneath(&site, &parent, "branch").await;
    assert_eq!(code(&refused), (402, "feature_requires_paid_license"), "{refused:?}");
    assert_eq!(site.status(&id).await, "FAILED");
    let why = text_of(site.deployment.database(), "SELECT failure FROM signup_request").await;
    assert_eq!(why, "feature_requires_paid_license");

    assert_eq!(site.tenants().await, ["demo"]);
    assert_eq!(used(&site, &parent).await, before);
    assert_eq!(denied(&site).await, of_child("CEILING_EXCEEDED"));
    assert!(site.operators(&json!(id)).await.is_empty());
    assert!(site.mail.is_quiet_for(Duration::from_secs(2)));
    let open = get(&site, &format!("{ONBOARDING}/availability")).await;
    assert_eq!(open["subtenants"]["reason"], "license_missing_subtenants", "{open}");

    // Not even the slug is taken.
    site.asked("al@example.com", "branch").await;
    let (status, confirmed) = site.confirm(&site.token()).await;
    assert_eq!((status, &confirmed["status"]), (StatusCode::OK, &json!("REGISTERED")), "{confirmed}");
    assert_ne!(used(&site, &parent).await, before, "what is charged can be seen");
}

async fn what_was_approved_waits_for_a_license_with_subtenants(database: Database) {
    let plan = Plan { without: &[SUBTENANTS], approval: true, ..OPEN };
    let mut site = Site::open(database, &plan).await;
    let parent = site.deployment.tenant("demo").await;
    let before = used(&site, &parent).await;
    let (id, (_, confirmed)) = beneath(&site, &parent, "branch").await;
    assert_eq!(confirmed["status"], "PENDING_APPROVAL");
    assert!(denied(&site).await.is_empty(), "nothing was asked of the license yet");
    let refused = site.decide(&id, "approve").await;
    assert_eq!(code(&refused), (402, "feature_requires_paid_license"), "{refused:?}");
    assert_eq!(site.pending("").await, ["branch"]);
    assert_eq!(site.tenants().await, ["demo"]);
    assert_eq!(used(&site, &parent).await, before);
    assert_eq!(denied(&site).await, of_child("CEILING_EXCEEDED"));

    site.deployment.stop();
    site.license(&OPEN);
    site.deployment.start();
    let (status, approved) = site.decide(&id, "approve").await;
    assert_eq!((status, &approved["status"]), (StatusCode::OK, &json!("REGISTERED")), "{approved}");
}

/// The license has them; of the tenants, only the one that subscribed to them.
async fn nobody_signs_up_beneath_a_tenant_that_was_not_handed_subtenants(database: Database) {
    let site = Site::open(database, &OPEN).await;
    let put = async |path: &str, terms: Value| {
        let set = json!({ "revision": 0, "terms": terms });
        let path = format!("{ADMIN}/{path}");
        let (status, body) = answer(site.deployment.request(Method::PUT, &path).json(&set)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    };
    let (_, other) = site.deployment.call("tenancy.tenants.create", json!({ "slug": "other" })).await;
    let (parent, other) =
        (site.deployment.tenant("demo").await, other["tenantId"].as_str().unwrap().to_owned());
    let signup = json!({ "products": { "chancery": {} }, "features": { "tenancy.self-signup.v1": true } });
    put("entitlements/baseline", signup).await;
    let handed = json!({
        "features": { SUBTENANTS: true },
        "quotas": { "tenants.total.max": 5, "tenants.depth.max": 2 },
    });
    put(&format!("tenants/{other}/subscription"), handed).await;

    let before = used(&site, &parent).await;
    let (id, refused) = beneath(&site, &parent, "branch").await;
    assert_eq!(code(&refused), (402, "feature_requires_paid_license"), "{refused:?}");
    assert_eq!(site.status(&id).await, "FAILED");
    assert_eq!(site.tenants().await.len(), 2);
    assert_eq!(used(&site, &parent).await, before);
    assert_eq!(denied(&site).await, of_child("NOT_ENTITLED"));

    let (_, (status, confirmed)) = beneath(&site, &other, "branch").await;
    assert_eq!((status, &confirmed["status"]), (StatusCode::OK, &json!("REGISTERED")), "{confirmed}");
}
