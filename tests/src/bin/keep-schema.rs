//! Keeps a deployment of this build on both engines, for later builds to prove that they find it again:
//!
//! ```text
//! cargo run -p chancery-acceptance --bin keep-schema
//! ```

use std::{fs, path::PathBuf};

use chancery_acceptance::{ChallengeService, MailServer, Quickstart, Vendor, answer, generous, keep, under};
use kit::Database;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::{Options, Store, sqlx};

const FEATURES: &str =
    r#""tenancy.subtenants.v1" = true, "tenancy.custom-domains.v1" = true, "tenancy.self-signup.v1" = true"#;
const ADMIN: &str = "/api/platform/admin/v1";

fn main() {
    kit::run(async {
        for (engine, database) in [("sqlite", Database::sqlite()), ("postgres", Database::postgres().await)] {
            println!("{}", used(database, engine).await.display());
        }
    });
}

/// A deployment in ordinary use.
async fn used(database: Database, engine: &str) -> PathBuf {
    let vendor = Vendor::lasting(36_500);
    let mut site = Quickstart::over(database);
    let request = under(&vendor, &mut site);
    let template = generous("KEPT", 1_000).replace("validDays = 365", "validDays = 36000");
    let template = template.replace(r#""tenancy.subtenants.v1" = true"#, FEATURES);
    let license = fs::read_to_string(vendor.mint(&request, "KEPT", &template)).expect("a license");
    let config = fs::read_to_string(site.path("chancery.toml")).expect("its configuration");
    let challenge = ChallengeService::start();
    let secret = site.path("challenge-secret");
    fs::write(&secret, ChallengeService::SECRET).expect("the secret");
    let mail = MailServer::start();
    site.configure(
        "[log]",
        &format!(
            "[tenant.signup.platform]\nenabled = true\nrequire-approval = false\n\
             [tenant.signup.challenge]\nverify-url = \"{}\"\nsecret = \"file:{}\"\n\
             [mail]\nfrom = \"no-reply@platform.example.com\"\n\
             [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\n[log]",
            challenge.url(),
            secret.display(),
            mail.port()
        ),
    );
    site.configure("[server]", "[server]\npublic-url = \"https://platform.example.com\"");
    site.start();

    let admin = |method, path: &str| site.request(method, &format!("{ADMIN}/{path}"));
    done(admin(Method::POST, "application/license").json(&json!({ "license": license }))).await;
    let acme =
        call(&site, "tenancy.tenants.create", json!({ "slug": "acme", "name": "Acme" })).await["tenantId"]
            .clone();
    for (parent, slug) in [("acme", "branch"), ("branch", "office")] {
        let tenant = site.tenant(parent).await;
        call(&site, "tenancy.children.create", json!({ "tenantId": tenant, "slug": slug })).await;
    }
    let gone = call(&site, "tenancy.tenants.create", json!({ "slug": "gone" })).await;
    call(&site, "tenancy.tenants.delete", json!({ "tenantId": gone["tenantId"] })).await;
    call(&site, "tenancy.domains.add", json!({ "tenantId": acme, "domain": "acme.example" })).await;

    let invited =
        json!({ "name": "clerk", "role": "tenant-admin", "home": acme, "deliveryMethod": "MANUAL" });
    // Whoever makes operators has just signed in.
    let credentials = site.credentials();
    let wanted = json!({ "name": credentials["operator"], "password": credentials["password"] });
    let session = call(&site, "identity.sessions.create", wanted).await;
    let word = |name: &str| session[name].as_str().expect("a text").to_owned();
    let url = format!("{}/api/identity/v1/operators", credentials["url"].as_str().expect("an address"));
    let inviting = reqwest::Client::new()
        .post(url)
        .header("cookie", format!("__Host-chancery-session={}", word("sessionToken")))
        .header("x-csrf-token", word("csrfToken"));
    let invited = done(inviting.json(&invited)).await;
    let token = &invited["activation"]["token"];
    let activation = json!({ "token": token, "password": "correct horse battery staple" });
    call(&site, "identity.actions.complete", activation).await;

    let terms = json!({
        "products": { "chancery": {} },
        "features": { "tenancy.self-signup.v1": true },
        "quotas": {
            "tenancy.exports.max": 5, "tenants.root.max": 50, "tenants.total.max": 50, "tenants.depth.max": 5,
        },
    });
    done(admin(Method::PUT, "entitlements/baseline").json(&json!({ "revision": 0, "terms": terms }))).await;
    let subscription = format!("tenants/{}/subscription", acme.as_str().expect("an id"));
    let terms = json!({ "features": { "tenancy.subtenants.v1": true } });
    done(admin(Method::PUT, &subscription).json(&json!({ "revision": 0, "terms": terms }))).await;
    for _ in 0..3 {
        done(site.request(Method::POST, "/api/commands/tenancy.tenants.export?tenant=acme").json(&json!({})))
            .await;
    }

    let decided = json!({ "selfSignupEnabled": true, "requireApprovalForSelfSignup": false });
    done(admin(Method::PUT, "application/onboarding").json(&decided)).await;
    let wanted = json!({
        "email": "jo@example.com", "slug": "signed-up", "displayName": "Jo", "challengeProof": ChallengeService::PROOF,
    });
    done(admin(Method::POST, "tenants/signup/request").json(&wanted)).await;
    let text = mail.next()["text"].as_str().expect("a text").to_owned();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let token = link.split_once('#').expect("a fragment").1;
    done(admin(Method::POST, "tenants/signup/confirm").json(&json!({ "plainVerificationToken": token })))
        .await;
    mail.next();
    let step = step(site.database()).await;
    keep(site, &config, engine, step).await
}

/// The latest step of the schema.
async fn step(url: &str) -> i64 {
    let store = Store::open(url, Options::default()).await.expect("the database");
    let step = sqlx::query_scalar("SELECT MAX(version) FROM schema_migration")
        .fetch_one(store.reader())
        .await
        .expect("the schema");
    store.close().await;
    step
}

async fn call(site: &Quickstart, id: &str, input: Value) -> Value {
    done(site.request(Method::POST, &format!("/api/commands/{id}")).json(&input)).await
}

async fn done(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert!(status.is_success(), "{status} {body}");
    body
}
