//! Whoever wants a tenant signs up: through HTTP, by mail that a server of somebody else's takes, on both databases.

use std::{fs, time::Duration};

use chancery_acceptance::{
    ChallengeService, MailServer, PASSWORD, Quickstart, Replica, answer, change, code, complete, everything,
    in_session, nobody, operator, sign_in, text_of,
};
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
use store::{Options, Store, sqlx};
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
            let secret = site.deployment.path("challenge-secret");
            std::fs::write(&secret, ChallengeService::SECRET).unwrap();
            settings += &format!(
                "[tenant.signup.challenge]\nverify-url = \"{}\"\nsecret = \"file:{}\"\n",
                site.challenge.url(),
                secret.display()
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

    async fn change(&self, sql: &'static str) {
        change(self.deployment.database(), sql).await;
    }

    fn url(&self) -> String {
        self.deployment.credentials()["url"].as_str().unwrap().to_owned()
    }

    /// The operators of a tenant: their names and what is known of them.
    async fn operators(&self, tenant: &Value) -> Vec<Value> {
        let (status, page) = self.deployment.call("identity.operators.list", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["operators"].as_array().unwrap().iter().filter(|it| it["home"] == *tenant).cloned().collect()
    }

    /// A tenant's administrator, signed in.
    async fn administrator(&self, name: &str, tenant: &str) -> Value {
        let inviting = self.deployment.request(Method::POST, "/api/identity/v1/operators");
        operator(&self.url(), inviting, json!({ "name": name, "role": "tenant-admin", "home": tenant })).await
    }

    async fn is_registered(&self, id: &str) {
        for _ in 0..600 {
            if self.status(id).await == "REGISTERED" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it is {}", self.status(id).await);
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

/// The name and the token of the mail that invites an administrator.
fn invited(mail: &Value) -> (String, String) {
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let (before, token) = link.split_once('#').expect("a fragment");
    assert_eq!(before, "https://platform.example.com/console/activate");
    let (_, name) = text.split_once("you sign in as \"").expect("a name");
    (name.split_once('"').expect("its end").0.to_owned(), token.to_owned())
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
    whoever_signs_up_administers_the_tenant_and_nothing_else
    who_has_an_operator_elsewhere_gets_another_and_nobody_is_told
    a_signup_that_is_killed_has_one_tenant_and_one_administrator
    an_interrupted_registration_is_taken_up_again_by_the_server_itself
    nobody_decides_about_the_signups_of_another_parent
    a_token_is_good_for_its_purpose_only_and_once
    no_token_is_in_the_database
    nobody_signs_up_without_a_verifier_a_proof_the_feature_or_a_decision
    tenants_beneath_tenants_are_signed_up_for_and_the_limits_are_theirs
    the_matrix_names_the_first_reason
    asking_tells_nothing_by_its_answer_or_its_work
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

async fn a_signup_that_is_killed_has_one_tenant_and_one_administrator(database: Database) {
    let mut site = Site::open(database, &OPEN).await;
    // As it is left by a process that died after the tenant was there, and before anybody was told.
    let id = site.asked("jo@example.com", "acme").await;
    let (_, confirmed) = site.confirm(&site.token()).await;
    let tenant = &confirmed["registration"]["tenantId"];
    let (_, lost) = invited(&site.mail.next());
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
    let (_, token) = invited(&site.mail.next());
    assert_eq!(complete(&site.url(), &token, PASSWORD).await.0, StatusCode::OK);

    // Wherever it dies.
    for (at, after) in [10, 40, 120].into_iter().enumerate() {
        let slug = format!("killed-{at}");
        let id = site.asked(&format!("{slug}@example.com"), &slug).await;
        let token = site.token();
        let confirming = site.anyone("/confirm").json(&json!({ "plainVerificationToken": token })).send();
        let confirming = tokio::spawn(confirming);
        tokio::time::sleep(Duration::from_millis(after)).await;
        site.deployment.kill();
        drop(confirming.await);
        // A server of databases may still be doing what it was told last.
        tokio::time::sleep(Duration::from_secs(2)).await;
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
        let (name, token) = invited(&site.mail.next());
        assert_eq!(name, format!("{slug}@example.com"));
        assert_eq!(complete(&site.url(), &token, PASSWORD).await.0, StatusCode::OK);
        // A mail that was sent when its process died is sent again, the same one.
        while site.mail.is_another_within(Duration::from_secs(1)) {}
    }
    let slugs = site.tenants().await;
    assert_eq!(slugs.len(), 5, "{slugs:?}");
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

async fn tenants_beneath_tenants_are_signed_up_for_and_the_limits_are_theirs(database: Database) {
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
