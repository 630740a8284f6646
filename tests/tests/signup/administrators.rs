//! Who administers a tenant that was signed up for, and who decides about others.

use std::time::Duration;

use chancery_acceptance::{PASSWORD, answer, code, complete, in_session, nobody, sign_in, text_of};
use kit::Database;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::site::{ONBOARDING, OPEN, Plan, SIGNUP, Site, invited, wanted};

on_both! {
    whoever_signs_up_administers_the_tenant_and_nothing_else
    who_has_an_operator_elsewhere_gets_another_and_nobody_is_told
    nobody_decides_about_the_signups_of_another_parent
}

async fn whoever_signs_up_administers_the_tenant_and_nothing_else(database: Database) {
    let site = Site::open(database, &OPEN).await;
    site.asked("Jo@example.com", "acme").await;
    let (_, confirmed) = site.confirm(&site.token()).await;
    let tenant = &confirmed["registration"]["tenantId"];
    let operators = site.operators(tenant).await;
    assert_eq!(operators.len(), 1, "{operators:?}");
    let jo = &operators[0];
    assert_eq!((&jo["name"], &jo["email"]), (&json!("jo@example.com"), &json!("Jo@example.com")));
    assert_eq!((&jo["role"], &jo["status"]), (&json!("tenant-admin"), &json!("INVITED")));

    let mail = site.mail.next();
    assert_eq!(mail["to"], json!(["Jo@example.com"]));
    let (name, token) = invited(&mail);
    assert_eq!(name, "jo@example.com");
    assert!(!confirmed.to_string().contains(&token) && !site.deployment.logged().contains(&token));
    let url = site.url();
    assert_eq!(complete(&url, &token, PASSWORD).await.0, StatusCode::OK);
    assert_eq!(code(&complete(&url, &token, "another long password").await), (404, "unknown_token"));
    let session = sign_in(&url, &name, PASSWORD).await;
    let get = |path: &str| answer(in_session(&url, &session, Method::GET, path));
    let (_, myself) = get("/api/identity/v1/operators/me").await;
    assert_eq!((&myself["home"], &myself["id"]), (tenant, &json!("operator:jo@example.com")));
    let own = format!("/api/platform/admin/v1/tenants/{}", tenant.as_str().unwrap());
    assert_eq!(get(&own).await.1["slug"], "acme");
    let demo = site.deployment.tenant("demo").await;
    let other = format!("/api/platform/admin/v1/tenants/{demo}");
    assert_eq!(code(&get(&other).await), (404, "unknown_tenant"));
    assert_eq!(code(&get(ONBOARDING).await), (403, "permission_required"));

    // What is refused makes nobody an operator.
    site.asked("al@example.com", "acme").await;
    assert_eq!(code(&site.confirm(&site.token()).await), (409, "slug_taken"));
    let (status, al) =
        site.deployment.call("identity.operators.show", json!({ "name": "al@example.com" })).await;
    assert_eq!(code(&(status, al)), (404, "unknown_operator"));
    assert_eq!(site.operators(tenant).await.len(), 1);
    assert!(site.mail.is_quiet_for(Duration::from_secs(2)));
}

async fn who_has_an_operator_elsewhere_gets_another_and_nobody_is_told(database: Database) {
    let site = Site::open(database, &OPEN).await;
    let (url, demo) = (site.url(), site.deployment.tenant("demo").await);
    let before = site.administrator("jo@example.com", &demo).await;
    let mut told = Vec::new();
    let mut names = Vec::new();
    for (email, slug) in
        [("al@example.com", "one"), ("jo@example.com", "two"), ("o'neil@example.com", "three")]
    {
        site.asked(email, slug).await;
        let (status, confirmed) = site.confirm(&site.token()).await;
        let mut shape = confirmed.clone();
        assert!(shape["signupRequestId"].take().is_string());
        assert!(shape["registration"]["tenantId"].take().is_string());
        told.push((status, shape.to_string().replace(slug, "")));
        let (name, token) = invited(&site.mail.next());
        assert_eq!(complete(&url, &token, "a password of its own").await.0, StatusCode::OK);
        let session = sign_in(&url, &name, "a password of its own").await;
        let me = in_session(&url, &session, Method::GET, "/api/identity/v1/operators/me");
        assert_eq!(answer(me).await.1["home"], confirmed["registration"]["tenantId"], "{email}");
        names.push(name);
    }
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
    assert_eq!(names[0], "al@example.com");
    assert!(names[1].starts_with("two-") && names[2].starts_with("three-"), "{names:?}");

    // The one who was there is who they were.
    let me = in_session(&url, &before, Method::GET, "/api/identity/v1/operators/me");
    assert_eq!(answer(me).await.1["home"], json!(demo));
    sign_in(&url, "jo@example.com", PASSWORD).await;
}

async fn nobody_decides_about_the_signups_of_another_parent(database: Database) {
    let site = Site::open(database, &Plan { approval: true, ..OPEN }).await;
    let url = site.url();
    let mut parents = Vec::new();
    for slug in ["alpha", "beta"] {
        let (status, tenant) = site.deployment.call("tenancy.tenants.create", json!({ "slug": slug })).await;
        assert_eq!(status, StatusCode::OK, "{tenant}");
        parents.push(tenant["tenantId"].as_str().unwrap().to_owned());
    }
    let anna = site.administrator("anna", &parents[0]).await;
    let berta = site.administrator("berta", &parents[1]).await;
    let mut ids = Vec::new();
    for (slug, parent) in [("of-alpha", Some(&parents[0])), ("of-beta", Some(&parents[1])), ("of-root", None)]
    {
        let mut body = wanted(&format!("{slug}@example.com"), slug);
        body["parentTenantId"] = json!(parent);
        let (status, accepted) = answer(site.anyone("/request").json(&body)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
        assert_eq!(site.confirm(&site.token()).await.1["status"], "PENDING_APPROVAL");
        ids.push(accepted["signupRequestId"].as_str().unwrap().to_owned());
    }

    let by =
        |session: &Value, rest: &str| in_session(&url, session, Method::POST, &format!("{SIGNUP}/{rest}"));
    let told = async |request: RequestBuilder, body: Value| {
        let (status, mut told) = answer(request.json(&body)).await;
        told["error"]["correlationId"].take();
        (status, told)
    };
    let absent = "00000000-0000-4000-8000-000000000000";
    for verb in ["approve", "reject"] {
        let nothing = told(by(&anna, &format!("{absent}/{verb}")), json!({})).await;
        assert_eq!(code(&nothing), (404, "unknown_signup_request"));
        for id in &ids[1..] {
            let path = format!("{id}/{verb}");
            assert_eq!(told(by(&anna, &path), json!({})).await, nothing, "{path}");
            for header in ["x-tenant-id", "x-tenant", "x-principal-id"] {
                let chosen = by(&anna, &path).header(header, &parents[1]);
                assert_eq!(told(chosen, json!({})).await, nothing, "{header}");
            }
            let named = told(by(&anna, &format!("{path}?tenant=beta")), json!({})).await;
            assert_eq!(code(&named), (403, "permission_required"));
        }
        for (field, value) in [
            ("actor", json!("operator:berta")),
            ("approvedById", json!("operator:berta")),
            ("rejectedById", json!("operator:berta")),
            ("parentTenantId", json!(parents[0])),
            ("status", json!("REGISTERED")),
            ("system", json!(true)),
        ] {
            let forged = told(by(&anna, &format!("{}/{verb}", ids[0])), json!({ field: value })).await;
            assert_eq!(code(&forged), (400, "invalid_input"), "{field}");
        }
        let anonymous =
            told(nobody(&url, Method::POST, &format!("{SIGNUP}/{}/{verb}", ids[0])), json!({})).await;
        assert_eq!(code(&anonymous), (401, "authentication_required"));
    }
    assert_eq!(code(&told(by(&anna, "reconcile/expired"), json!({})).await), (404, "unknown_signup_request"));
    let seen = async |session: &Value, query: &str| {
        let looking = in_session(&url, session, Method::GET, &format!("{SIGNUP}/pending{query}"));
        let (status, page) = answer(looking).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let requests = page["requests"].as_array().unwrap().iter();
        requests.map(|request| request["slug"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen(&anna, "").await, ["of-alpha"]);
    assert_eq!(seen(&anna, &format!("?parentTenantId={}", parents[1])).await, [""; 0]);
    assert_eq!(seen(&berta, "").await, ["of-beta"]);
    for id in &ids {
        assert_eq!(site.status(id).await, "PENDING_APPROVAL", "all of that changed nothing");
    }

    let (status, approved) = told(by(&anna, &format!("{}/approve", ids[0])), json!({})).await;
    assert_eq!((status, &approved["status"]), (StatusCode::OK, &json!("REGISTERED")), "{approved}");
    assert_eq!(invited(&site.mail.next()).0, "of-alpha@example.com");
    assert_eq!(told(by(&berta, &format!("{}/reject", ids[1])), json!({})).await.0, StatusCode::OK);
    assert_eq!(site.mail.next()["to"], json!(["of-beta@example.com"]));
    let made =
        text_of(site.deployment.database(), "SELECT approved_by FROM signup_request WHERE slug = 'of-alpha'");
    assert_eq!(made.await, "operator:anna");
    assert_eq!(site.status(&ids[2]).await, "PENDING_APPROVAL");
}
