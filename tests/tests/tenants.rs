//! Tenants through the running program, on both databases: what operators do with them, who is refused and what that
//! tells, and two servers that race for the last place.

use std::{fs, time::Duration};

use chancery_acceptance::{Quickstart, answer, change, in_session, operator, text_of};
use descriptors::{catalog::Catalog, grant::Grant};
use envelope::{
    Claims, Recipient,
    claims::{Binding, Party, Schema},
    development::DevelopmentAuthority,
};
use jiff::{SignedDuration, Timestamp};
use kernel::Ambient;
use kit::{Database, NameServer};
use platform as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};
use tenancy as _;

const TENANTS: &str = "/api/platform/admin/v1/tenants";
const ONBOARDING: &str = "/api/platform/admin/v1/application/onboarding";

/// A quickstart under another license of its own authority.
fn licensed(database: Database, edition: &str, change: impl FnOnce(&mut Grant)) -> Quickstart {
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    let mut grant = Catalog::linked().unwrap().expand("chancery", edition).unwrap();
    change(&mut grant);
    let now = Timestamp::from_second(Ambient::system().now().as_second()).unwrap();
    let party = || Party { id: "test".to_owned(), name: "Test".to_owned() };
    let claims = Claims {
        schema: Schema::V1,
        license_id: "test".to_owned(),
        issuer: party(),
        licensee: party(),
        installation_owner: party(),
        issued_at: now,
        not_before: now,
        expires_at: now + SignedDuration::from_hours(24),
        grace_days: 0,
        binding: Binding { installation_id: Some("quickstart".to_owned()), base_domains: Vec::new() },
        grant,
        asserted_policies: Vec::new(),
        revocation: None,
        metadata: Map::new(),
        other: Map::new(),
    };
    let recipient = fs::read_to_string(quickstart.path("recipient.pem")).unwrap();
    let recipient = Recipient::from_pem("quickstart-recipient", &recipient).unwrap();
    let authority = DevelopmentAuthority::create(now, SignedDuration::from_hours(24)).unwrap();
    fs::write(quickstart.path("root.pem"), authority.root_pem()).unwrap();
    fs::write(quickstart.path("license.jwe"), authority.issue(&claims, &recipient.public()).unwrap())
        .unwrap();
    quickstart.configure("[log]", "[tenant]\nplatform-domain = \"tenants.example\"\n\n[log]");
    quickstart.start();
    quickstart
}

#[track_caller]
fn refused((status, body): (StatusCode, Value), expected: u16, code: &str) -> Value {
    assert_eq!((status.as_u16(), &body["error"]["code"]), (expected, &json!(code)), "{body}");
    body
}

#[track_caller]
fn done((status, body): (StatusCode, Value)) -> Value {
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn call(of: &Quickstart, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    answer(of.request(method, path).json(&body)).await
}

async fn get(of: &Quickstart, path: &str) -> (StatusCode, Value) {
    answer(of.request(Method::GET, path)).await
}

/// A request by nobody known.
fn anonymous(of: &Quickstart, method: Method, path: &str) -> RequestBuilder {
    let url = format!("{}{path}", of.credentials()["url"].as_str().unwrap());
    reqwest::Client::new().request(method, url)
}

async fn the_life_of_a_tenant(database: Database) {
    let it = licensed(database, "pro", |_| {});
    let registering = it
        .request(Method::POST, TENANTS)
        .header("x-correlation-id", "registration-1")
        .json(&json!({ "slug": "acme", "name": "Acme", "description": "Anvils", "tenantType": "customer" }));
    let acme = done(answer(registering).await);
    assert_eq!(
        (&acme["status"], &acme["depth"], &acme["system"]),
        (&json!("ACTIVE"), &json!(1), &json!(false))
    );
    let id = acme["tenantId"].as_str().unwrap();
    let at = |rest: &str| format!("{TENANTS}/{id}{rest}");
    assert_eq!(done(get(&it, &at("")).await), acme);
    let page = done(get(&it, &format!("{TENANTS}?slug=acme&status=ACTIVE")).await);
    assert_eq!(page["tenants"], json!([acme]));

    let log = done(get(&it, "/api/platform/admin/v1/tenant-onboarding/registration-1").await);
    assert_eq!((&log["status"], &log["source"]), (&json!("COMPLETED"), &json!("OPERATOR")));
    let steps: Vec<_> = log["steps"].as_array().unwrap().iter().map(|step| &step["step"]["id"]).collect();
    assert_eq!(steps, ["routing-inserted", "subdomain-added"]);
    let reconcile = format!("{TENANTS}/registrations/reconcile");
    assert_eq!(done(call(&it, Method::POST, &reconcile, json!({})).await)["totalScanned"], 0);

    // What no body may say.
    for field in ["status", "system", "tenantId", "depth", "createdBy", "source", "deletedAt"] {
        let body = json!({ "slug": "more", field: acme.get(field).unwrap_or(&json!("BOOTSTRAP")) });
        refused(call(&it, Method::POST, TENANTS, body).await, 400, "invalid_input");
    }
    let status = at("/lifecycle/status");
    for body in [json!({ "status": "PENDING_VERIFICATION" }), json!({ "status": "ACTIVE", "system": true })] {
        refused(call(&it, Method::PATCH, &status, body).await, 400, "invalid_input");
    }

    let branch = done(call(&it, Method::POST, &at("/children"), json!({ "slug": "branch" })).await);
    assert_eq!((&branch["parentTenantId"], &branch["depth"]), (&json!(id), &json!(2)));
    let beneath = format!("{TENANTS}/{}/children", branch["tenantId"].as_str().unwrap());
    let deep = call(&it, Method::POST, &beneath, json!({ "slug": "twig" })).await;
    assert_eq!(refused(deep, 403, "quota_exceeded")["error"]["details"]["reason"], "QUOTA_EXCEEDED");
    assert_eq!(done(get(&it, &at("/children")).await)["tenants"], json!([branch]));

    let domains = done(get(&it, &at("/domains")).await);
    assert_eq!(domains["domains"][0]["domain"], "acme.tenants.example");
    let added = done(call(&it, Method::POST, &at("/domains"), json!({ "domain": "Acme.Example" })).await);
    assert_eq!((&added["domain"], &added["verifiedAt"]), (&json!("acme.example"), &json!(null)));
    refused(
        call(&it, Method::POST, &at("/domains/acme.example/primary"), json!({})).await,
        409,
        "domain_not_verified",
    );
    done(answer(it.request(Method::DELETE, &at("/domains/acme.example"))).await);

    // A suspended tenant is acted for by nobody, and still seen by operators.
    let export = "/api/platform/admin/v1/tenants/export?tenant=acme";
    done(call(&it, Method::POST, export, json!({})).await);
    let live = || {
        anonymous(&it, Method::POST, "/api/commands/health.live.check").header("host", "acme.tenants.example")
    };
    done(answer(live()).await);
    assert_eq!(
        done(call(&it, Method::PATCH, &status, json!({ "status": "SUSPENDED" })).await)["status"],
        "SUSPENDED"
    );
    refused(call(&it, Method::POST, export, json!({})).await, 403, "tenant_suspended");
    refused(answer(live()).await, 403, "tenant_suspended");
    refused(
        call(&it, Method::POST, &at("/children"), json!({ "slug": "leaf" })).await,
        409,
        "tenant_not_active",
    );
    assert_eq!(done(get(&it, &format!("{}?tenant=acme", at(""))).await)["status"], "SUSPENDED");
    done(call(&it, Method::PATCH, &status, json!({ "status": "ACTIVE" })).await);
    done(answer(live()).await);

    refused(answer(it.request(Method::DELETE, &at(""))).await, 409, "tenant_has_children");
    done(
        answer(it.request(Method::DELETE, &format!("{TENANTS}/{}", branch["tenantId"].as_str().unwrap())))
            .await,
    );
    assert!(done(answer(it.request(Method::DELETE, &at(""))).await)["deletedAt"].is_string());
    refused(get(&it, &at("")).await, 404, "unknown_tenant");
    refused(call(&it, Method::POST, export, json!({})).await, 404, "unknown_tenant");
    refused(call(&it, Method::POST, TENANTS, json!({ "slug": "acme" })).await, 409, "slug_taken");
    refused(get(&it, &format!("{TENANTS}/acme")).await, 400, "invalid_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_tenant_on_sqlite() {
    the_life_of_a_tenant(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_tenant_on_postgresql() {
    the_life_of_a_tenant(Database::postgres().await).await;
}

/// One place is left beside the demo tenant, and two servers are asked for it at once. Again and again.
async fn two_servers_race_for_the_last_root_tenant(database: Database) {
    let it = licensed(database, "pro", |grant| {
        grant.quotas.insert("tenants.root.max".to_owned(), 2);
    });
    let other = it.replica();
    for round in 0..8 {
        let body = |side: &str| json!({ "slug": format!("{side}-{round}") });
        let (one, two) = tokio::join!(
            answer(it.request(Method::POST, TENANTS).json(&body("one"))),
            answer(other.request(Method::POST, TENANTS).json(&body("two"))),
        );
        let (won, lost): (Vec<_>, Vec<_>) =
            [one, two].into_iter().partition(|(status, _)| status.is_success());
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {won:?} {lost:?}");
        let (_, lost) = &lost[0];
        assert_eq!(lost["error"]["details"]["reason"], "QUOTA_EXCEEDED", "{lost}");

        // What fails for another reason does not take the place of what was deleted.
        let winner = won[0].1["tenantId"].as_str().unwrap();
        done(answer(it.request(Method::DELETE, &format!("{TENANTS}/{winner}"))).await);
        refused(call(&it, Method::POST, TENANTS, json!({ "slug": "demo" })).await, 409, "slug_taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_race_for_the_last_root_tenant_on_sqlite() {
    two_servers_race_for_the_last_root_tenant(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_race_for_the_last_root_tenant_on_postgresql() {
    two_servers_race_for_the_last_root_tenant(Database::postgres().await).await;
}

/// Statements on tables of tenants, their quotas or the operators, as the program's own log tells them.
fn statements(log: &str) -> usize {
    let tables = [
        "tenancy_tenant",
        "tenancy_domain",
        "tenancy_registration",
        "quota_gate",
        "quota_place",
        "identity_",
    ];
    let statement =
        |line: &&str| line.contains("sqlx::query") && tables.iter().any(|table| line.contains(table));
    log.lines().filter(statement).count()
}

async fn what_is_refused_reads_nothing_and_tells_nothing(database: Database) {
    let mut it = licensed(database, "pro", |_| {});
    it.stop();
    it.configure("filter = \"warn,", "filter = \"sqlx::query=debug,warn,");
    it.start();
    done(call(&it, Method::PUT, ONBOARDING, json!({ "rootTenantCreationEnabled": false })).await);

    let mut seen = it.logged().len();
    let mut since = || {
        let log = it.logged();
        let counted = statements(&log[seen..]);
        seen = log.len();
        counted
    };
    since();
    let body = |slug: &str| json!({ "slug": slug });
    // Nobody known: not a single statement.
    let nobody = |slug: &str| anonymous(&it, Method::POST, TENANTS).json(&body(slug));
    refused(answer(nobody("demo")).await, 401, "authentication_required");
    refused(answer(nobody("free")).await, 401, "authentication_required");
    assert_eq!(since(), 0);
    // An operator whom the policy refuses: one, which tells the operator by the token.
    for slug in ["demo", "free"] {
        refused(call(&it, Method::POST, TENANTS, body(slug)).await, 403, "onboarding_refused");
        assert_eq!(since(), 1, "{slug}");
    }
    // What is admitted is seen to ask, so the count can fail.
    done(call(&it, Method::PUT, ONBOARDING, json!({ "rootTenantCreationEnabled": true })).await);
    since();
    done(call(&it, Method::POST, TENANTS, body("admitted")).await);
    assert!(since() > 5);
    done(call(&it, Method::PUT, ONBOARDING, json!({ "rootTenantCreationEnabled": false })).await);

    // Neither the body nor the work tells a slug that is taken from one that is free.
    since();
    let mut told = Vec::new();
    for slug in ["demo", "free", "demo", "free"] {
        let (status, mut answered) = call(&it, Method::POST, TENANTS, body(slug)).await;
        answered["error"]["correlationId"].take();
        told.push((status, answered.to_string(), since()));
    }
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");

    // Whoever administers a tenant is told by their session, and for what the policy refuses nothing else is read.
    let url = it.credentials()["url"].as_str().unwrap().to_owned();
    let demo = it.tenant("demo").await;
    let anna = json!({ "name": "anna", "role": "tenant-admin", "home": demo });
    let anna = operator(&url, it.request(Method::POST, "/api/identity/v1/operators"), anna).await;
    let me = || in_session(&url, &anna, Method::GET, "/api/identity/v1/operators/me");
    done(answer(me()).await);
    since();
    done(answer(me()).await);
    let session = since();
    assert!(session > 0, "it can be counted");
    for parent in [demo.as_str(), "00000000-0000-4000-8000-000000000000"] {
        for slug in ["demo", "free"] {
            let adding = in_session(&url, &anna, Method::POST, &format!("{TENANTS}/{parent}/children"));
            refused(answer(adding.json(&body(slug))).await, 403, "onboarding_refused");
            assert_eq!(since(), session, "{slug} beneath {parent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_reads_nothing_and_tells_nothing_on_sqlite() {
    what_is_refused_reads_nothing_and_tells_nothing(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_reads_nothing_and_tells_nothing_on_postgresql() {
    what_is_refused_reads_nothing_and_tells_nothing(Database::postgres().await).await;
}

/// A tenant's own domain, from its challenge to its end, with a name server that answers for it.
async fn a_domain_is_proved_preferred_and_removed(database: Database) {
    let names = NameServer::default();
    let mut it = licensed(database, "scale", |_| {});
    it.stop();
    let settings = format!(
        "[tenant.dns]\nservers = [\"{}\"]\n\n[tenant.resolution]\nself-tenant = \"demo\"\n\n[tenant]",
        names.start()
    );
    it.configure("[tenant]", &settings);
    it.start();
    let acme = done(call(&it, Method::POST, TENANTS, json!({ "slug": "acme" })).await);
    let at = |rest: &str| format!("{TENANTS}/{}/domains{rest}", acme["tenantId"].as_str().unwrap());
    let post = async |rest: &str, body: Value| call(&it, Method::POST, &at(rest), body).await;

    let added = done(post("", json!({ "domain": "Portal.Acme.example" })).await);
    let challenge = &added["challenge"];
    assert_eq!(challenge["name"], "_chancery-challenge.portal.acme.example");
    assert_eq!((&added["kind"], &added["verifiedAt"]), (&json!("CUSTOM_DOMAIN"), &json!(null)));
    refused(post("/portal.acme.example/verify", json!({})).await, 409, "challenge_not_met");
    refused(post("/portal.acme.example/primary", json!({})).await, 409, "domain_not_verified");
    // Until then nobody is served for it: the name says nothing of the tenant.
    let live = || {
        anonymous(&it, Method::POST, "/api/commands/health.live.check").header("host", "portal.acme.example")
    };
    names.holds("_chancery-challenge.portal.acme.example", "v=spf1 -all");
    refused(post("/portal.acme.example/verify", json!({})).await, 409, "challenge_not_met");
    names.holds("_chancery-challenge.portal.acme.example", challenge["value"].as_str().unwrap());
    let verified = done(post("/portal.acme.example/verify", json!({})).await);
    assert!(verified["verifiedAt"].is_string() && verified["challenge"].is_null(), "{verified}");
    done(post("/portal.acme.example/primary", json!({})).await);
    let listed = done(get(&it, &at("")).await);
    let primary = listed["domains"].as_array().unwrap().iter().filter(|domain| domain["isPrimary"] == true);
    assert_eq!(primary.map(|domain| &domain["domain"]).collect::<Vec<_>>(), ["portal.acme.example"]);

    // Requests to it are for the tenant from now on, and for the configured one again once it is removed.
    let suspend = async |tenant: &str, status: &str| {
        let path = format!("{TENANTS}/{tenant}/lifecycle/status");
        done(call(&it, Method::PATCH, &path, json!({ "status": status })).await);
    };
    let (own, configured) = (acme["tenantId"].as_str().unwrap(), it.tenant("demo").await);
    suspend(&configured, "SUSPENDED").await;
    done(answer(live()).await);
    suspend(&configured, "ACTIVE").await;
    suspend(own, "SUSPENDED").await;
    refused(answer(live()).await, 403, "tenant_suspended");
    done(answer(it.request(Method::DELETE, &at("/portal.acme.example"))).await);
    done(answer(live()).await);
    suspend(&configured, "SUSPENDED").await;
    refused(answer(live()).await, 403, "tenant_suspended");
    refused(post("/portal.acme.example/verify", json!({})).await, 404, "unknown_domain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_proved_preferred_and_removed_on_sqlite() {
    a_domain_is_proved_preferred_and_removed(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_proved_preferred_and_removed_on_postgresql() {
    a_domain_is_proved_preferred_and_removed(Database::postgres().await).await;
}

/// The server itself undoes what a process that died has left.
async fn a_registration_whose_process_died_is_undone_by_the_next(database: Database) {
    let mut it = licensed(database, "pro", |_| {});
    let registering = it.request(Method::POST, TENANTS).header("x-correlation-id", "died");
    done(answer(registering.json(&json!({ "slug": "acme" }))).await);
    // As it is left where the last steps are those of other modules.
    change(it.database(), "UPDATE tenancy_tenant SET status = 'PENDING_VERIFICATION' WHERE slug = 'acme'")
        .await;
    let live = anonymous(&it, Method::POST, "/api/commands/health.live.check")
        .header("host", "acme.tenants.example");
    refused(answer(live).await, 403, "tenant_pending");
    let export = "/api/platform/admin/v1/tenants/export?tenant=acme";
    refused(call(&it, Method::POST, export, json!({})).await, 403, "tenant_pending");
    let beneath = format!("{TENANTS}/{}/children", it.tenant("acme").await);
    refused(call(&it, Method::POST, &beneath, json!({ "slug": "leaf" })).await, 409, "tenant_not_active");
    it.stop();
    change(
        it.database(),
        "UPDATE tenancy_registration SET status = 'IN_FLIGHT', completed_at = NULL, expires_at = 1
         WHERE correlation = 'died'",
    )
    .await;
    it.start();
    let mut told = json!(null);
    for _ in 0..100 {
        told = done(get(&it, "/api/platform/admin/v1/tenant-onboarding/died").await);
        if told["status"] == "COMPENSATED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(told["status"], "COMPENSATED", "{told}");
    done(call(&it, Method::POST, TENANTS, json!({ "slug": "acme" })).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_process_died_is_undone_by_the_next_on_sqlite() {
    a_registration_whose_process_died_is_undone_by_the_next(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_whose_process_died_is_undone_by_the_next_on_postgresql() {
    a_registration_whose_process_died_is_undone_by_the_next(Database::postgres().await).await;
}

async fn what_the_edition_does_not_have_is_refused(database: Database) {
    let it = Quickstart::over(database);
    let sold = done(get(&it, "/api/platform/admin/v1/features").await);
    let keys: Vec<_> = sold["features"].as_array().unwrap().iter().map(|it| &it["key"]).collect();
    for feature in ["subtenants", "custom-domains", "self-signup", "federation"] {
        assert!(keys.contains(&&json!(format!("tenancy.{feature}.v1"))), "{feature}: {keys:?}");
    }
    let demo = it.tenant("demo").await;
    let at = |rest: &str| format!("{TENANTS}/{demo}{rest}");
    for (path, body) in [
        (at("/children"), json!({ "slug": "branch" })),
        (at("/domains"), json!({ "domain": "demo.example" })),
        (at("/domains/demo.example/verify"), json!({})),
    ] {
        let body = refused(call(&it, Method::POST, &path, body).await, 402, "feature_requires_paid_license");
        assert_eq!(body["error"]["details"]["reason"], "CEILING_EXCEEDED", "{path}");
    }
    for slug in ["two", "three"] {
        done(call(&it, Method::POST, TENANTS, json!({ "slug": slug })).await);
    }
    refused(call(&it, Method::POST, TENANTS, json!({ "slug": "four" })).await, 403, "quota_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edition_does_not_have_is_refused_on_sqlite() {
    what_the_edition_does_not_have_is_refused(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edition_does_not_have_is_refused_on_postgresql() {
    what_the_edition_does_not_have_is_refused(Database::postgres().await).await;
}

/// It is in no list, and no slug, id, parent or parameter leads to it (semantics 7.1).
async fn the_platforms_own_tenant_is_seen_and_named_by_nobody(database: Database) {
    let it = licensed(database, "pro", |_| {});
    let own = done(get(&it, "/api/identity/v1/operators/me").await)["home"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("{TENANTS}/{own}{rest}");
    let listed = done(get(&it, TENANTS).await);
    assert_eq!(listed["tenants"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(done(get(&it, &format!("{TENANTS}?slug=platform")).await)["tenants"], json!([]));
    refused(get(&it, &at("")).await, 404, "unknown_tenant");
    refused(get(&it, &at("/children")).await, 404, "unknown_tenant");
    refused(
        call(&it, Method::POST, &at("/children"), json!({ "slug": "leaf" })).await,
        404,
        "unknown_tenant",
    );
    refused(
        call(&it, Method::POST, &at("/domains"), json!({ "domain": "a.example" })).await,
        404,
        "unknown_tenant",
    );
    let suspended = json!({ "status": "SUSPENDED" });
    refused(call(&it, Method::PATCH, &at("/lifecycle/status"), suspended).await, 404, "unknown_tenant");
    refused(answer(it.request(Method::DELETE, &at(""))).await, 404, "unknown_tenant");
    refused(get(&it, &format!("{TENANTS}?tenant=platform")).await, 404, "unknown_tenant");

    // There is one, however many servers make sure of it.
    drop([it.replica(), it.replica()]);
    let systems = "SELECT CAST(count(*) AS TEXT) FROM tenancy_tenant WHERE system = 1";
    assert_eq!(text_of(it.database(), systems).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_tenant_is_seen_and_named_by_nobody_on_sqlite() {
    the_platforms_own_tenant_is_seen_and_named_by_nobody(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_own_tenant_is_seen_and_named_by_nobody_on_postgresql() {
    the_platforms_own_tenant_is_seen_and_named_by_nobody(Database::postgres().await).await;
}

/// The form of slugs and their being one tenant's, the caps of the whole tree and of its depth, and that what is refused
/// is not there.
async fn a_tree_grows_within_its_slugs_and_its_quotas(database: Database) {
    let it = licensed(database, "pro", |grant| {
        grant.quotas.insert("tenants.total.max".to_owned(), 4);
    });
    let post = async |path: &str, slug: &str| call(&it, Method::POST, path, json!({ "slug": slug })).await;
    for slug in ["", "A", "1a", "-a", "a--b", "a_b", "a.b", &"a".repeat(64)] {
        refused(post(TENANTS, slug).await, 400, "invalid_input");
    }
    let longest = done(post(TENANTS, &"a".repeat(63)).await);
    let beneath = format!("{TENANTS}/{}/children", longest["tenantId"].as_str().unwrap());
    refused(post(&beneath, "demo").await, 409, "slug_taken");
    let branch = done(post(&beneath, "branch").await);
    let too_deep = format!("{TENANTS}/{}/children", branch["tenantId"].as_str().unwrap());
    refused(post(&too_deep, "twig").await, 403, "quota_exceeded");
    done(post(&beneath, "last").await);
    // Four are there: neither at the root nor beneath another is there room for one more.
    refused(post(TENANTS, "root").await, 403, "quota_exceeded");
    refused(post(&beneath, "leaf").await, 403, "quota_exceeded");
    let slugs = |page: Value| -> Vec<_> {
        page["tenants"].as_array().unwrap().iter().map(|it| it["slug"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs(done(get(&it, &format!("{TENANTS}?sort=slug")).await)).len(), 4);
    assert_eq!(slugs(done(get(&it, &beneath).await)).len(), 2);
    done(
        answer(it.request(Method::DELETE, &format!("{TENANTS}/{}", branch["tenantId"].as_str().unwrap())))
            .await,
    );
    done(post(TENANTS, "root").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_grows_within_its_slugs_and_its_quotas_on_sqlite() {
    a_tree_grows_within_its_slugs_and_its_quotas(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_grows_within_its_slugs_and_its_quotas_on_postgresql() {
    a_tree_grows_within_its_slugs_and_its_quotas(Database::postgres().await).await;
}

/// Never at the root, never beneath another, and beneath their own only where that is switched on.
async fn who_administers_a_tenant_adds_beneath_it_where_that_is_decided(database: Database) {
    let it = licensed(database, "pro", |_| {});
    let url = it.credentials()["url"].as_str().unwrap().to_owned();
    let alpha = done(call(&it, Method::POST, TENANTS, json!({ "slug": "alpha" })).await);
    let beta = done(call(&it, Method::POST, TENANTS, json!({ "slug": "beta" })).await);
    let beneath = |tenant: &Value| format!("{TENANTS}/{}/children", tenant["tenantId"].as_str().unwrap());
    let anna = json!({ "name": "anna", "role": "tenant-admin", "home": alpha["tenantId"] });
    let anna = operator(&url, it.request(Method::POST, "/api/identity/v1/operators"), anna).await;
    let adding = async |path: &str, slug: &str| {
        answer(in_session(&url, &anna, Method::POST, path).json(&json!({ "slug": slug }))).await
    };
    refused(adding(TENANTS, "root").await, 403, "onboarding_refused");
    refused(adding(&beneath(&alpha), "branch").await, 403, "onboarding_refused");
    done(call(&it, Method::PUT, ONBOARDING, json!({ "subtenantSignupEnabled": true })).await);
    done(adding(&beneath(&alpha), "branch").await);
    refused(adding(TENANTS, "root").await, 403, "onboarding_refused");
    // Whether the other is there or not is not told.
    let mut told = Vec::new();
    let nowhere = json!({ "tenantId": "00000000-0000-4000-8000-000000000000" });
    for (parent, slug) in [(&beta, "leaf"), (&beta, "demo"), (&nowhere, "leaf")] {
        let (status, mut answered) = adding(&beneath(parent), slug).await;
        answered["error"]["correlationId"].take();
        told.push((status, answered));
    }
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
    refused(told.remove(0), 403, "onboarding_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_a_tenant_adds_beneath_it_where_that_is_decided_on_sqlite() {
    who_administers_a_tenant_adds_beneath_it_where_that_is_decided(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_a_tenant_adds_beneath_it_where_that_is_decided_on_postgresql() {
    who_administers_a_tenant_adds_beneath_it_where_that_is_decided(Database::postgres().await).await;
}

/// The order of semantics 7.8, as far as no credential says it: a subdomain, else the configured tenant; no header.
async fn a_request_that_says_nothing_of_itself_is_for_the_configured_tenant(database: Database) {
    let mut it = licensed(database, "pro", |_| {});
    for slug in ["acme", "globex"] {
        done(call(&it, Method::POST, TENANTS, json!({ "slug": slug })).await);
    }
    it.stop();
    let resolution = "[tenant.resolution]\nself-tenant = \"acme\"\n\n[log]";
    it.configure("[log]", resolution);
    it.start();
    let live = |host: &str| {
        anonymous(&it, Method::POST, "/api/commands/health.live.check").header("host", host.to_owned())
    };
    let suspend = async |slug: &str, status: &str| {
        let path = format!("{TENANTS}/{}/lifecycle/status", it.tenant(slug).await);
        done(call(&it, Method::PATCH, &path, json!({ "status": status })).await);
    };
    suspend("acme", "SUSPENDED").await;
    refused(answer(live("elsewhere.example")).await, 403, "tenant_suspended");
    done(answer(live("globex.tenants.example")).await);
    for header in ["x-tenant-id", "x-tenant", "x-forwarded-host"] {
        let chosen = live("elsewhere.example").header(header, "globex.tenants.example");
        refused(answer(chosen).await, 403, "tenant_suspended");
    }
    suspend("acme", "ACTIVE").await;
    suspend("globex", "SUSPENDED").await;
    done(answer(live("elsewhere.example")).await);
    refused(answer(live("globex.tenants.example")).await, 403, "tenant_suspended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_says_nothing_of_itself_is_for_the_configured_tenant_on_sqlite() {
    a_request_that_says_nothing_of_itself_is_for_the_configured_tenant(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_says_nothing_of_itself_is_for_the_configured_tenant_on_postgresql() {
    a_request_that_says_nothing_of_itself_is_for_the_configured_tenant(Database::postgres().await).await;
}

async fn a_decision_about_onboarding_is_followed_by_every_replica(database: Database) {
    let it = licensed(database, "pro", |_| {});
    let other = it.replica();
    let decided =
        done(call(&it, Method::PUT, ONBOARDING, json!({ "rootTenantCreationEnabled": false })).await);
    assert_eq!(
        (&decided["rootTenantCreationEnabled"], &decided["adminInviteEnabled"]),
        (&json!(false), &json!(true))
    );
    refused(call(&it, Method::POST, TENANTS, json!({ "slug": "one" })).await, 403, "onboarding_refused");
    let mut followed = false;
    for round in 0..20 {
        let slug = format!("other-{round}");
        let (_, body) = answer(other.request(Method::POST, TENANTS).json(&json!({ "slug": slug }))).await;
        followed = body["error"]["code"] == "onboarding_refused";
        if followed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(followed, "the other replica still registers");
    assert_eq!(done(answer(other.request(Method::GET, ONBOARDING)).await), decided);
    refused(call(&it, Method::PUT, ONBOARDING, json!({ "selfSignup": true })).await, 400, "invalid_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_about_onboarding_is_followed_by_every_replica_on_sqlite() {
    a_decision_about_onboarding_is_followed_by_every_replica(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_about_onboarding_is_followed_by_every_replica_on_postgresql() {
    a_decision_about_onboarding_is_followed_by_every_replica(Database::postgres().await).await;
}
