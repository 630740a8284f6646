//! Whoever wants a tenant signs up: through HTTP, by mail that a server of somebody else's takes, on both databases.

use std::{fs, time::Duration};

use chancery_acceptance::{ChallengeService, MailServer, Quickstart, Replica, answer};
use descriptors::catalog::Catalog;
use envelope::{
    Claims, Recipient,
    claims::{Binding, Party, Schema},
    development::DevelopmentAuthority,
};
use identity as _;
use jiff::{SignedDuration, Timestamp};
use kernel::Ambient;
use kit::Database;
use platform as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};
use store::{Cause, Options, Store, sqlx};
use tenancy as _;

const SIGNUP: &str = "/api/platform/admin/v1/tenants/signup";
const ONBOARDING: &str = "/api/platform/admin/v1/application/onboarding";

/// A deployment where people may sign up.
struct Site {
    deployment: Quickstart,
    mail: MailServer,
    challenge: ChallengeService,
}

/// What a deployment is like.
struct Plan<'p> {
    /// The edition it holds.
    edition: &'p str,
    /// Quotas that the license has instead of the edition's.
    quotas: &'p [(&'p str, u64)],
    /// `tenant.signup.platform` and the like.
    settings: &'p str,
    challenge: bool,
    approval: bool,
}

const OPEN: Plan<'_> = Plan {
    edition: "scale",
    quotas: &[],
    settings: "[tenant.signup.platform]\nenabled = true\nrequire-approval = false\nrate-limit-per-ip = 1000\n\
               [tenant.signup.children]\nenabled = true\nrequire-approval = false\nrate-limit-per-ip = 1000\n",
    challenge: true,
    approval: false,
};

impl Site {
    async fn open(database: Database, plan: &Plan<'_>) -> Self {
        Self::with_mail(database, plan, MailServer::start(), 5).await
    }

    async fn with_mail(database: Database, plan: &Plan<'_>, mail: MailServer, patience: u32) -> Self {
        let (deployment, challenge) = (Quickstart::over(database), ChallengeService::start());
        let mut site = Self { deployment, mail, challenge };
        site.deployment.stop();
        site.license(plan);
        let mut settings = format!(
            "{}\n[mail]\nfrom = \"Platform <no-reply@platform.example.com>\"\n[mail.smtp]\nhost = \"127.0.0.1\"\n\
             port = {}\nsecurity = \"none\"\ntimeout-seconds = {patience}\n",
            plan.settings,
            site.mail.port()
        );
        if plan.challenge {
            settings += &format!(
                "[tenant.signup.challenge]\nverify-url = \"{}\"\nsecret = \"{}\"\n",
                site.challenge.url(),
                ChallengeService::SECRET
            );
        }
        site.deployment.configure("[log]", &format!("{settings}\n[log]"));
        site.deployment.configure("[server]", "[server]\npublic-url = \"https://platform.example.com\"");
        site.deployment.start();
        let decided = json!({
            "selfSignupEnabled": true,
            "subtenantSignupEnabled": true,
            "requireApprovalForSelfSignup": plan.approval,
        });
        let (status, body) = answer(site.deployment.request(Method::PUT, ONBOARDING).json(&decided)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        site
    }

    /// A development license of this edition.
    fn license(&self, plan: &Plan<'_>) {
        let now = Timestamp::from_second(Ambient::system().now().as_second()).unwrap();
        let pem = fs::read_to_string(self.deployment.path("recipient.pem")).unwrap();
        let recipient = Recipient::from_pem("quickstart-recipient", &pem).unwrap();
        let mut grant = Catalog::linked().unwrap().expand("chancery", plan.edition).unwrap();
        for (quota, limit) in plan.quotas {
            grant.quotas.insert((*quota).to_owned(), *limit);
        }
        let party = |id: &str| Party { id: id.to_owned(), name: id.to_owned() };
        let claims = Claims {
            schema: Schema::V1,
            license_id: "signup".to_owned(),
            issuer: party("vendor"),
            licensee: party("customer"),
            installation_owner: party("customer"),
            issued_at: now,
            not_before: now,
            expires_at: now + SignedDuration::from_hours(24 * 30),
            grace_days: 0,
            binding: Binding { installation_id: Some("quickstart".to_owned()), base_domains: Vec::new() },
            grant,
            asserted_policies: Vec::new(),
            revocation: None,
            metadata: Map::new(),
            other: Map::new(),
        };
        let authority = DevelopmentAuthority::create(now, SignedDuration::from_hours(24 * 365)).unwrap();
        fs::write(self.deployment.path("root.pem"), authority.root_pem()).unwrap();
        let license = authority.issue(&claims, &recipient.public()).unwrap();
        fs::write(self.deployment.path("license.jwe"), license).unwrap();
    }

    /// A call by nobody known.
    fn anyone(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{SIGNUP}{path}", self.deployment.credentials()["url"].as_str().unwrap());
        reqwest::Client::new().post(url).timeout(Duration::from_secs(30))
    }

    async fn ask(&self, email: &str, slug: &str) -> (StatusCode, Value) {
        answer(self.anyone("/request").json(&wanted(email, slug))).await
    }

    /// The id of a request that was taken.
    async fn asked(&self, email: &str, slug: &str) -> String {
        let (status, body) = self.ask(email, slug).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        body["signupRequestId"].as_str().unwrap().to_owned()
    }

    /// The token of the link in the next mail.
    fn token(&self) -> String {
        token_of(&self.mail.next())
    }

    async fn confirm(&self, token: &str) -> (StatusCode, Value) {
        answer(self.anyone("/confirm").json(&json!({ "plainVerificationToken": token }))).await
    }

    async fn decide(&self, id: &str, verb: &str) -> (StatusCode, Value) {
        let path = format!("{SIGNUP}/{id}/{verb}");
        answer(self.deployment.request(Method::POST, &path).json(&json!({}))).await
    }

    async fn pending(&self, query: &str) -> Vec<String> {
        let path = format!("{SIGNUP}/pending{query}");
        let (status, page) = answer(self.deployment.request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let requests = page["requests"].as_array().unwrap().iter();
        requests.map(|request| request["slug"].as_str().unwrap().to_owned()).collect()
    }

    async fn tenants(&self) -> Vec<String> {
        let (status, page) = self.deployment.call("tenancy.tenants.list", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let slugs = page["tenants"].as_array().unwrap().iter();
        slugs.map(|tenant| tenant["slug"].as_str().unwrap().to_owned()).collect()
    }

    async fn store(&self) -> Store {
        Store::open(self.deployment.database(), Options::default()).await.unwrap()
    }

    async fn status(&self, id: &str) -> String {
        let store = self.store().await;
        let status = sqlx::query_scalar("SELECT status FROM signup_request WHERE id = $1")
            .bind(id)
            .fetch_one(store.reader())
            .await
            .unwrap();
        store.close().await;
        status
    }

    /// Changes the past of the requests, as if time had passed.
    async fn change(&self, sql: &'static str) {
        let store = self.store().await;
        let mut work = store.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
        store.close().await;
    }
}

fn wanted(email: &str, slug: &str) -> Value {
    json!({
        "email": email,
        "slug": slug,
        "displayName": format!("The {slug} company"),
        "challengeProof": ChallengeService::PROOF,
    })
}

fn token_of(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let (before, token) = link.split_once('#').expect("a fragment");
    assert_eq!(before, "https://platform.example.com/console/signup/confirm");
    assert_eq!(text.matches(token).count(), 1);
    token.to_owned()
}

#[track_caller]
fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer:?}")))
}

/// The test, on both databases.
macro_rules! on_both {
    ($($name:ident)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name(Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgresql() {
                super::$name(Database::postgres().await).await;
            }
        }
    )+};
}

on_both! {
    from_a_request_to_a_tenant
    with_approval
    a_token_works_once_and_only_its_own
    links_are_limited_and_expire
    replicas_count_together
    mail_survives_a_kill
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
    assert_eq!(site.mail.next()["subject"], "Your tenant is registered");
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

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_up_without_a_verifier_a_proof_the_feature_or_a_decision() {
    let site = Site::open(Database::sqlite(), &OPEN).await;
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

    let site = Site::open(Database::sqlite(), &Plan { challenge: false, ..OPEN }).await;
    assert_eq!(code(&site.ask("jo@example.com", "acme").await), (403, "challenge_rejected"));

    let site = Site::open(Database::sqlite(), &Plan { edition: "pro", ..OPEN }).await;
    let denied = site.ask("jo@example.com", "acme").await;
    assert_eq!(code(&denied), (402, "feature_requires_paid_license"));
    assert_eq!(denied.1["error"]["details"]["reason"], "CEILING_EXCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_beneath_tenants_are_signed_up_for_and_the_limits_are_theirs() {
    let site = Site::open(Database::sqlite(), &OPEN).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_registration_is_taken_up_again_by_the_server_itself() {
    let mut site = Site::open(Database::sqlite(), &OPEN).await;
    let id = site.asked("jo@example.com", "acme").await;
    site.token();
    assert!(site.deployment.stop());
    site.change("UPDATE signup_request SET status = 'CONFIRMED', token_hash = '', confirmed_at = created_at - 60000000").await;
    site.deployment.start();
    for _ in 0..100 {
        if site.status(&id).await == "REGISTERED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(site.status(&id).await, "REGISTERED");
    assert_eq!(site.tenants().await.iter().filter(|slug| *slug == "acme").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_names_the_first_reason() {
    let reasons = async |site: &Site| {
        let path = format!("{ONBOARDING}/availability");
        let (status, matrix) = answer(site.deployment.request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::OK, "{matrix}");
        matrix
    };
    let mut site = Site::open(Database::sqlite(), &OPEN).await;
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

    let site = Site::open(Database::sqlite(), &Plan { edition: "pro", challenge: false, ..OPEN }).await;
    assert_eq!(reasons(&site).await["selfSignup"]["reason"], "license_missing_self_signup");
    let site = Site::open(Database::sqlite(), &Plan { challenge: false, ..OPEN }).await;
    assert_eq!(reasons(&site).await["selfSignup"]["reason"], "config_missing_challenge_verifier");
}
