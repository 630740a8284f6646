//! A deployment where people may sign up.

use std::{fs, time::Duration};

use chancery_acceptance::{ChallengeService, MailServer, Quickstart, answer, change, operator};
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

pub(crate) const SIGNUP: &str = "/api/platform/admin/v1/tenants/signup";
pub(crate) const ONBOARDING: &str = "/api/platform/admin/v1/application/onboarding";

/// A deployment where people may sign up.
pub(crate) struct Site {
    pub(crate) deployment: Quickstart,
    pub(crate) mail: MailServer,
    pub(crate) challenge: ChallengeService,
}

/// What a deployment is like.
pub(crate) struct Plan<'p> {
    /// The edition it holds.
    pub(crate) edition: &'p str,
    /// Features of the edition that the license has not.
    pub(crate) without: &'p [&'p str],
    /// Quotas that the license has instead of the edition's.
    pub(crate) quotas: &'p [(&'p str, u64)],
    /// `tenant.signup.platform` and the like.
    pub(crate) settings: &'p str,
    pub(crate) challenge: bool,
    pub(crate) approval: bool,
}

pub(crate) const OPEN: Plan<'_> = Plan {
    edition: "scale",
    without: &[],
    quotas: &[],
    settings: "[tenant.signup.platform]\nenabled = true\nrequire-approval = false\nrate-limit-per-ip = 1000\n\
               [tenant.signup.children]\nenabled = true\nrequire-approval = false\nrate-limit-per-ip = 1000\n",
    challenge: true,
    approval: false,
};

impl Site {
    pub(crate) async fn open(database: Database, plan: &Plan<'_>) -> Self {
        Self::with_mail(database, plan, MailServer::start(), 5).await
    }

    pub(crate) async fn with_mail(
        database: Database,
        plan: &Plan<'_>,
        mail: MailServer,
        patience: u32,
    ) -> Self {
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
    pub(crate) fn license(&self, plan: &Plan<'_>) {
        let now = Timestamp::from_second(Ambient::system().now().as_second()).unwrap();
        let pem = fs::read_to_string(self.deployment.path("recipient.pem")).unwrap();
        let recipient = Recipient::from_pem("quickstart-recipient", &pem).unwrap();
        let mut grant = Catalog::linked().unwrap().expand("chancery", plan.edition).unwrap();
        for feature in plan.without {
            assert!(grant.features.remove(*feature).is_some(), "{feature}");
        }
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
    pub(crate) fn anyone(&self, path: &str) -> RequestBuilder {
        let url = format!("{}{SIGNUP}{path}", self.deployment.credentials()["url"].as_str().unwrap());
        reqwest::Client::new().post(url).timeout(Duration::from_secs(30))
    }

    pub(crate) async fn ask(&self, email: &str, slug: &str) -> (StatusCode, Value) {
        answer(self.anyone("/request").json(&wanted(email, slug))).await
    }

    /// The id of a request that was taken.
    pub(crate) async fn asked(&self, email: &str, slug: &str) -> String {
        let (status, body) = self.ask(email, slug).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        body["signupRequestId"].as_str().unwrap().to_owned()
    }

    /// The token of the link in the next mail.
    pub(crate) fn token(&self) -> String {
        token_of(&self.mail.next())
    }

    pub(crate) async fn confirm(&self, token: &str) -> (StatusCode, Value) {
        answer(self.anyone("/confirm").json(&json!({ "plainVerificationToken": token }))).await
    }

    pub(crate) async fn decide(&self, id: &str, verb: &str) -> (StatusCode, Value) {
        let path = format!("{SIGNUP}/{id}/{verb}");
        answer(self.deployment.request(Method::POST, &path).json(&json!({}))).await
    }

    pub(crate) async fn pending(&self, query: &str) -> Vec<String> {
        let path = format!("{SIGNUP}/pending{query}");
        let (status, page) = answer(self.deployment.request(Method::GET, &path)).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let requests = page["requests"].as_array().unwrap().iter();
        requests.map(|request| request["slug"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn tenants(&self) -> Vec<String> {
        let (status, page) = self.deployment.call("tenancy.tenants.list", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let slugs = page["tenants"].as_array().unwrap().iter();
        slugs.map(|tenant| tenant["slug"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(self.deployment.database(), Options::default()).await.unwrap()
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        let store = self.store().await;
        let status = sqlx::query_scalar("SELECT status FROM signup_request WHERE id = $1")
            .bind(id)
            .fetch_one(store.reader())
            .await
            .unwrap();
        store.close().await;
        status
    }

    pub(crate) async fn change(&self, sql: &'static str) {
        change(self.deployment.database(), sql).await;
    }

    pub(crate) fn url(&self) -> String {
        self.deployment.credentials()["url"].as_str().unwrap().to_owned()
    }

    /// The operators of a tenant: their names and what is known of them.
    pub(crate) async fn operators(&self, tenant: &Value) -> Vec<Value> {
        let (status, page) = self.deployment.call("identity.operators.list", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["operators"].as_array().unwrap().iter().filter(|it| it["home"] == *tenant).cloned().collect()
    }

    /// A tenant's administrator, signed in.
    pub(crate) async fn administrator(&self, name: &str, tenant: &str) -> Value {
        let inviting = self.deployment.request(Method::POST, "/api/identity/v1/operators");
        operator(&self.url(), inviting, json!({ "name": name, "role": "tenant-admin", "home": tenant })).await
    }

    pub(crate) async fn is_registered(&self, id: &str) {
        for _ in 0..600 {
            if self.status(id).await == "REGISTERED" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it is {}", self.status(id).await);
    }
}

pub(crate) fn wanted(email: &str, slug: &str) -> Value {
    json!({
        "email": email,
        "slug": slug,
        "displayName": format!("The {slug} company"),
        "challengeProof": ChallengeService::PROOF,
    })
}

pub(crate) fn token_of(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let (before, token) = link.split_once('#').expect("a fragment");
    assert_eq!(before, "https://platform.example.com/console/signup/confirm");
    assert_eq!(text.matches(token).count(), 1);
    token.to_owned()
}

/// The name and the token of the mail that invites an administrator.
pub(crate) fn invited(mail: &Value) -> (String, String) {
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).expect("a link");
    let (before, token) = link.split_once('#').expect("a fragment");
    assert_eq!(before, "https://platform.example.com/console/activate");
    let (_, name) = text.split_once("you sign in as \"").expect("a name");
    (name.split_once('"').expect("its end").0.to_owned(), token.to_owned())
}
