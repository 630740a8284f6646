//! The console in a real browser: a newcomer's path without JavaScript, every page in light and dark, and the first setup.
//!
//! `tests/run` installs the browser and what drives it. The scripts are in `tests/console`; the pictures that they take are
//! in `target/console-screenshots`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chancery_acceptance::{ChallengeService, Fresh, MailServer, Quickstart, Vendor, answer, root, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::json;

/// Runs a script of `tests/console` against the server that this file of credentials names.
fn browse(script: &str, credentials: &Path) {
    let foreign = root().join("target/foreign");
    assert!(
        foreign.join("node_modules/playwright-core").exists(),
        "`tests/run` installs what drives the browser"
    );
    let output = Command::new("node")
        .arg(root().join("tests/console").join(script))
        .args([&foreign, &credentials.to_owned(), &root().join("target/console-screenshots")])
        .output()
        .expect("start node");
    let told = text(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "{script}:\n{told}\n{}", text(&output.stderr));
}

const ADMIN: &str = "/api/platform/admin/v1";

/// What the vendor's license says: room for more, and anybody may ask for a tenant.
const TEMPLATE: &str = r#"
licenseId = "L-1"
validDays = 365
graceDays = 0
issuer = { id = "vendor", name = "Vendor" }
licensee = { id = "acme", name = "Acme" }

[grant]
products = { chancery = { edition = "scale" } }
features = { "tenancy.subtenants.v1" = true, "tenancy.self-signup.v1" = true }

[grant.quotas]
"tenants.root.max" = 25
"tenants.total.max" = 100
"tenants.depth.max" = 2
"tenancy.exports.max" = 100
"#;

/// A quickstart that also trusts a vendor, and has a license of theirs in `vendor.jwe`, not installed.
fn quickstart() -> Quickstart {
    let mut quickstart = Quickstart::over(Database::sqlite());
    let vendor = Vendor::open();
    let request = quickstart.path("request.jws");
    let asked = quickstart.chancery([
        "license",
        "request",
        "--organization",
        "Acme",
        "--contact",
        "Ada Lovelace <ada@acme.example>:TECHNICAL,ADMINISTRATOR",
        "--base-domain",
        "platform.acme.example",
        "--out",
        request.to_str().expect("a path that is a text"),
    ]);
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    fs::write(vendor.path("L-1.toml"), TEMPLATE).expect("write the template");
    vendor.run(&format!("issue --dir pki --template L-1.toml --request {} --out L-1.jwe", request.display()));
    fs::copy(vendor.path("L-1.jwe"), quickstart.path("vendor.jwe")).expect("the license arrives");
    assert!(quickstart.stop(), "it stops when told to");
    let roots =
        [quickstart.path("root.pem"), vendor.root()].map(|root| fs::read_to_string(root).expect("a root"));
    fs::write(quickstart.path("root.pem"), roots.concat()).expect("trust both");
    let address = "public-url = \"https://platform.acme.example\"\n\n[deployment]";
    quickstart.configure("[deployment]", address);
    quickstart.start();
    quickstart
}

fn credentials(quickstart: &Quickstart) -> PathBuf {
    quickstart.path("credentials.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_finds_the_way_and_every_form_works_without_javascript() {
    browse("newcomer.mjs", &credentials(&quickstart()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_small_and_quiet_in_light_and_dark() {
    browse("pages.mjs", &credentials(&quickstart()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_setup_is_led_through_once() {
    let fresh = Fresh::over(Database::sqlite(), "");
    let credentials = fresh.path("credentials.json");
    fs::write(&credentials, json!({ "url": fresh.url() }).to_string()).expect("tell where it serves");
    browse("setup.mjs", &credentials);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_mails_let_the_first_administrator_and_an_operator_in() {
    let mail = MailServer::start();
    let settings = format!(
        "[server]\npublic-url = \"https://platform.acme.example\"\n\n[mail]\nfrom = \"no-reply@platform.acme.example\"\n\
         [mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n",
        mail.port()
    );
    let fresh = Fresh::over(Database::sqlite(), &settings);
    let step = |told: serde_json::Value| {
        let credentials = fresh.path("credentials.json");
        fs::write(&credentials, told.to_string()).expect("tell what to do");
        browse("mailed.mjs", &credentials);
    };
    let link = |to: &str| {
        let mail = mail.next();
        assert_eq!(mail["to"], json!([to]));
        let mut words = mail["text"].as_str().expect("a text").split_whitespace();
        let link = words.find(|word| word.starts_with("https://platform.acme.example/console/activate#"));
        link.expect("a link").to_owned()
    };
    let (url, password) = (fresh.url(), "a long sentence is good");
    step(json!({ "url": url, "operator": "ada@acme.example" }));
    step(json!({
        "url": url, "operator": "ada@acme.example", "password": password, "link": link("ada@acme.example"),
        "invites": { "name": "grace", "email": "grace@acme.example" },
    }));
    let link = link("grace@acme.example");
    step(json!({ "url": url, "operator": "grace", "password": "three green lamps", "link": link }));
}

/// A deployment where anybody may ask for a tenant, and who tells people from programs there.
struct Open {
    quickstart: Quickstart,
    mail: MailServer,
    _challenge: ChallengeService,
}

impl Open {
    async fn with(approval: bool) -> Self {
        let (mail, challenge) = (MailServer::start(), ChallengeService::start());
        let mut quickstart = quickstart();
        quickstart.stop();
        let secret = quickstart.path("challenge-secret");
        fs::write(&secret, ChallengeService::SECRET).unwrap();
        let settings = format!(
            "[mail]\nfrom = \"Platform <no-reply@platform.acme.example>\"\n[mail.smtp]\nhost = \"127.0.0.1\"\nport = {}\n\
             security = \"none\"\n[tenant.signup.platform]\nenabled = true\nrequire-approval = {approval}\n\
             [tenant.signup.challenge]\nverify-url = \"{}\"\nsecret = \"file:{}\"\n\n[log]",
            mail.port(),
            challenge.url(),
            secret.display(),
        );
        quickstart.configure("[log]", &settings);
        quickstart.start();
        let open = Self { quickstart, mail, _challenge: challenge };
        let license = fs::read_to_string(open.quickstart.path("vendor.jwe")).expect("the license");
        open.call(Method::POST, "/application/license", json!({ "license": license })).await;
        let decided = json!({ "selfSignupEnabled": true, "requireApprovalForSelfSignup": approval });
        open.call(Method::PUT, "/application/onboarding", decided).await;
        open
    }

    async fn call(&self, method: Method, path: &str, body: serde_json::Value) -> StatusCode {
        let request = self.quickstart.request(method, &format!("{ADMIN}{path}"));
        let (status, told) = answer(request.json(&body)).await;
        assert!(status.is_success(), "{path}: {status} {told}");
        status
    }

    /// The link that whoever asks for a tenant is sent.
    async fn asked(&self, email: &str, slug: &str, name: &str) -> String {
        let wanted = json!({
            "email": email, "slug": slug, "displayName": name, "challengeProof": ChallengeService::PROOF,
        });
        assert_eq!(self.call(Method::POST, "/tenants/signup/request", wanted).await, StatusCode::ACCEPTED);
        self.mailed("/console/signup/confirm#")
    }

    /// The link to this page in the next mail.
    fn mailed(&self, page: &str) -> String {
        let text = self.mail.next()["text"].as_str().expect("a text").to_owned();
        text.split_whitespace().find(|word| word.contains(page)).expect("a link").to_owned()
    }

    /// Runs a script that is told this, and where the server is.
    fn browse(&self, script: &str, mut told: serde_json::Value) {
        let mut credentials = self.quickstart.credentials();
        credentials.as_object_mut().unwrap().append(told.as_object_mut().unwrap());
        let file = self.quickstart.path("told.json");
        fs::write(&file, credentials.to_string()).expect("tell what to do");
        browse(script, &file);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signup_is_confirmed_and_approved() {
    let open = Open::with(true).await;
    // One that is to be rejected is confirmed by a program.
    let link = open.asked("hank@globex.example", "globex", "Globex").await;
    let (_, token) = link.split_once('#').expect("a fragment");
    open.call(Method::POST, "/tenants/signup/confirm", json!({ "plainVerificationToken": token })).await;
    let link = open.asked("jo@acme.example", "acme", "The acme company").await;
    open.browse("signup.mjs", json!({ "link": link }));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_mails_let_whoever_signed_up_into_their_tenant_and_no_other() {
    let open = Open::with(false).await;
    let confirming = open.asked("jo@acme.example", "acme", "The acme company").await;
    open.browse("confirmed.mjs", json!({ "link": confirming }));
    let activating = open.mailed("/console/activate#");
    open.browse(
        "mailed.mjs",
        json!({
            "operator": "jo@acme.example", "password": "a long sentence is good", "link": activating,
            "tenants": ["The acme company"],
        }),
    );
}

/// What keeps passwords for people has to know whose one it is (WHATWG HTML, autofill: `username`).
#[test]
fn every_form_that_asks_for_a_password_says_whose_it_is() {
    let mut asking = 0;
    for page in fs::read_dir(root().join("server/console/templates/pages")).unwrap() {
        let path = page.unwrap().path();
        let html = fs::read_to_string(&path).unwrap();
        let forms = html.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
        for form in forms.filter(|form| form.contains(r#"type="password""#)) {
            assert!(form.contains(r#"autocomplete="username""#), "{}: {form}", path.display());
            asking += 1;
        }
    }
    assert_eq!(asking, 3, "signing in, setting a password, and changing it");
}
