//! A deployment is licensed by files: it asks, a vendor mints, an operator installs, renews, and goes back. On both
//! databases, with the two real programs and nothing between them but files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use chancery_acceptance::{Quickstart, Vendor, Wanted, answer, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Cause, Options, Store, sqlx};

const LICENSE: &str = "/api/platform/admin/v1/application/license";
const CONTACT: &str = "Ada Lovelace <ada@acme.example>:TECHNICAL,ADMINISTRATOR";

/// A deployment that trusts this vendor, has no license and no key, and is not running.
async fn unlicensed(database: Database, vendor: &Vendor) -> Quickstart {
    let mut deployment = Quickstart::over(database);
    assert!(deployment.stop());
    fs::copy(vendor.root(), deployment.path("vendor-root.pem")).unwrap();
    deployment.configure(r#""root.pem""#, r#""vendor-root.pem""#);
    deployment.configure(r#""recipient.pem""#, r#""key/site.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    deployment.configure("[deployment]", "public-url = \"https://platform.acme.example\"\n\n[deployment]");
    fs::create_dir(deployment.path("key")).unwrap();
    // What was kept under the quickstart's key cannot be believed under the next one; docs/license-runtime.md says so.
    let store = Store::open(deployment.database(), Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    sqlx::query("DELETE FROM license_memory").execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
    deployment
}

fn json_of(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {}", text(stdout)))
}

fn args<'a>(line: &'a str, file: &'a Path) -> Vec<&'a str> {
    line.split(' ').map(|word| if word == "FILE" { file.to_str().unwrap() } else { word }).collect()
}

async fn status(deployment: &Quickstart) -> Value {
    let (status, license) = answer(deployment.request(Method::GET, LICENSE)).await;
    assert_eq!(status, StatusCode::OK);
    license
}

/// `chancery license request` for this file.
fn request(deployment: &Quickstart, out: &Path, more: &[&str]) -> Output {
    let line = ["license", "request", "--organization", "Acme", "--contact", CONTACT, "--json"];
    let line = line.into_iter().chain(["--out", out.to_str().unwrap()]);
    deployment.chancery(line.chain(more.iter().copied()))
}

/// A license that nobody here trusts is refused on every way in, and what is there stays.
async fn a_license_of_a_stranger_changes_nothing(deployment: &Quickstart, asked: &Path) {
    let stranger = Vendor::open();
    let foreign = stranger.issue(asked, &Wanted { id: "X-1", valid_days: 365, subtenants: true, exports: 1 });
    let output = deployment.chancery(args("license install FILE --yes", &foreign));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("chain:"), "{}", text(&output.stderr));
    let token = fs::read_to_string(&foreign).unwrap();
    let install = deployment.request(Method::POST, LICENSE).json(&json!({ "license": token }));
    let (refused, body) = answer(install).await;
    assert_eq!((refused, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("license_not_usable")));
    let output = deployment.chancery(args("license inspect FILE", &foreign));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(status(deployment).await["licenseId"], "L-2");
}

async fn the_life_of_a_license(database: Database) {
    let vendor = Vendor::open();
    let mut deployment = unlicensed(database, &vendor).await;

    // The deployment makes its key and asks.
    let asked = deployment.path("request.jws");
    let output = request(&deployment, &asked, &["--product", "chancery", "--edition", "pro"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made = json_of(&output.stdout);
    assert_eq!((&made["keyMade"], &made["request"]["organizationName"]), (&json!(true), &json!("Acme")));
    let key = deployment.path("key/site.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "for its owner only");
    let pem = fs::read_to_string(&key).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    for file in ["request.jws", "request.jws.txt"] {
        let sent = fs::read_to_string(deployment.path(file)).unwrap();
        assert!(!sent.contains(secret) && !text(&output.stdout).contains(secret), "the key stays");
    }
    let again = request(&deployment, &asked, &[]);
    assert!(
        !again.status.success() && text(&again.stderr).contains("exists already"),
        "no file is overwritten"
    );

    // The vendor compares the fingerprint, and mints.
    let inspected = vendor.run(&format!("inspect {} --json", asked.with_extension("jws.txt").display()));
    assert_eq!(
        json_of(&inspected.stdout)["fingerprint"],
        made["fingerprint"],
        "both read the same on the phone"
    );
    let first = vendor.issue(&asked, &Wanted { id: "L-1", valid_days: 365, subtenants: true, exports: 100 });

    // Before it is installed, it is looked at: in both forms, and with its effects.
    for form in [first.clone(), first.with_extension("jwe.txt")] {
        let output = deployment.chancery(args("license inspect FILE", &form));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let output = deployment.chancery(args("license simulate FILE --json", &first));
    let simulated = json_of(&output.stdout);
    assert_eq!(
        (&simulated["statusBefore"], &simulated["statusAfter"]),
        (&json!("MISSING"), &json!("ACTIVE"))
    );
    let change = simulated["commands"].as_array().unwrap().iter();
    let change = change.clone().find(|change| change["command"] == "tenancy.children.create").unwrap();
    assert_eq!(change["before"]["reason"], "LICENSE_MISSING");
    assert_eq!(change["after"]["runs"], true);

    deployment.start();
    // Whoever has no license learns nothing of tenants, so which one does not matter.
    let nobody = "00000000-0000-0000-0000-000000000000";
    let (refused, body) =
        deployment.call("tenancy.children.create", json!({ "tenantId": nobody, "slug": "before" })).await;
    assert_eq!(
        (refused, &body["error"]["details"]["reason"]),
        (StatusCode::PAYMENT_REQUIRED, &json!("LICENSE_MISSING"))
    );
    let output = deployment.chancery(args("license install FILE --preview --json", &first));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let preview = json_of(&output.stdout);
    assert_eq!(
        (&preview["installable"], &preview["license"]["licenseId"], &preview["overwriteImpact"]),
        (&json!(true), &json!("L-1"), &json!([]))
    );
    assert_eq!(status(&deployment).await["status"], "MISSING", "a preview changes nothing");
    let output = deployment.chancery(args("license install FILE", &first));
    assert_eq!(output.status.code(), Some(2), "nobody is there to be asked: {}", text(&output.stderr));

    let output = deployment.chancery(args("license install FILE --yes", &first));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let demo = deployment.tenant("demo").await;
    let (allowed, child) =
        deployment.call("tenancy.children.create", json!({ "tenantId": demo, "slug": "after" })).await;
    assert_eq!((allowed, &child["slug"]), (StatusCode::OK, &json!("after")));

    // A renewal says what it renews. What it changes is told in words, and it is installed from the armored form.
    let renewal = deployment.path("renewal.jws");
    let output = request(&deployment, &renewal, &["--renew"]);
    let made = json_of(&output.stdout);
    assert_eq!((&made["keyMade"], &made["request"]["renews"]), (&json!(false), &json!("L-1")), "{made}");
    let second =
        vendor.issue(&renewal, &Wanted { id: "L-2", valid_days: 730, subtenants: true, exports: 200 });
    let mut line = args("license diff FILE", &first);
    line.extend([second.to_str().unwrap(), "--exit-code"]);
    let output = deployment.chancery(line);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("`tenancy.exports.max`") && told.contains("is raised from 100 to 200"), "{told}");
    assert!(told.contains("365 days later"), "{told}");
    let output =
        deployment.chancery(args("license install FILE --yes --json", &second.with_extension("jwe.txt")));
    assert_eq!(json_of(&output.stdout)["previousLicenseId"], "L-1", "{}", text(&output.stderr));

    // It survives the process, and it is seen without one.
    assert!(deployment.stop());
    let output = deployment.chancery(["license", "status", "--json"]);
    let license = json_of(&output.stdout);
    assert_eq!(
        (&license["licenseId"], &license["source"]),
        (&json!("L-2"), &json!("installed")),
        "{license}"
    );
    deployment.start();
    assert_eq!(status(&deployment).await["licenseId"], "L-2");

    a_license_of_a_stranger_changes_nothing(&deployment, &asked).await;

    let (done, left) = answer(deployment.request(Method::DELETE, LICENSE)).await;
    assert_eq!(
        (done, &left["removed"], &left["license"]["status"]),
        (StatusCode::OK, &json!(true), &json!("MISSING"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_license_on_sqlite() {
    the_life_of_a_license(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_license_on_postgresql() {
    the_life_of_a_license(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_is_asked_for_over_http_as_well() {
    let vendor = Vendor::open();
    let mut deployment = unlicensed(Database::sqlite(), &vendor).await;
    deployment.start();
    let path = format!("{LICENSE}/request");
    let (_, state) = answer(deployment.request(Method::GET, &path)).await;
    assert_eq!((&state["keyConfigured"], &state["keyPresent"]), (&json!(true), &json!(false)));
    let wish = json!({
        "organizationName": "Acme",
        "contacts": [{
            "email": "ada@acme.example", "givenName": "Ada", "familyName": "Lovelace", "roles": ["TECHNICAL"],
        }],
    });
    let bad =
        deployment.request(Method::POST, &path).json(&json!({ "organizationName": "Acme", "contacts": [] }));
    let (refused, body) = answer(bad).await;
    assert_eq!((refused, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("request_invalid")));
    assert!(!deployment.path("key/site.pem").exists(), "what is refused leaves no key behind");

    let (done, made) = answer(deployment.request(Method::POST, &path).json(&wish)).await;
    assert_eq!((done, &made["keyMade"]), (StatusCode::OK, &json!(true)), "{made}");
    let (_, state) = answer(deployment.request(Method::GET, &path)).await;
    assert_eq!(state["fingerprint"], made["fingerprint"]);
    let request = deployment.path("request.txt");
    fs::write(&request, made["armored"].as_str().unwrap()).unwrap();
    let license =
        vendor.issue(&request, &Wanted { id: "L-1", valid_days: 30, subtenants: false, exports: 5 });
    let text = fs::read_to_string(license).unwrap();

    let simulate = deployment.request(Method::POST, &format!("{LICENSE}/simulate"));
    let (_, simulated) = answer(simulate.json(&json!({ "license": text }))).await;
    assert_eq!(simulated["statusAfter"], "ACTIVE", "{simulated}");
    let preview = deployment.request(Method::POST, &format!("{LICENSE}/preview"));
    let (_, preview) = answer(preview.json(&json!({ "license": text }))).await;
    assert_eq!(
        (&preview["installable"], &preview["recipientPrivateKeyPresent"]),
        (&json!(true), &json!(true)),
        "{preview}"
    );
    assert_eq!(status(&deployment).await["status"], "MISSING");
    let (done, installed) =
        answer(deployment.request(Method::POST, LICENSE).json(&json!({ "license": text }))).await;
    assert_eq!((done, &installed["license"]["licenseId"]), (StatusCode::OK, &json!("L-1")), "{installed}");
}

fn exports_of(license: &Value) -> Value {
    let quotas = license["quotaProjections"].as_array().unwrap();
    quotas.iter().find(|quota| quota["quotaKey"] == "tenancy.exports.max").unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_beyond_a_new_license_is_named_before_it_is_installed() {
    let vendor = Vendor::open();
    let mut deployment = unlicensed(Database::sqlite(), &vendor).await;
    let asked = deployment.path("request.jws");
    let line = ["license", "request", "--organization", "Acme", "--contact", CONTACT, "--out"];
    assert!(deployment.chancery(line.into_iter().chain([asked.to_str().unwrap()])).status.success());
    let wanted = |id, exports| Wanted { id, valid_days: 90, subtenants: exports > 1, exports };
    let issue = |id, exports| vendor.issue(&asked, &wanted(id, exports));
    let (large, small, larger) = (issue("L-1", 100), issue("L-2", 1), issue("L-3", 4));
    // Windows do not begin anew with a license.
    deployment.configure("[deployment]", "[license.quota]\nwindow-anchor = \"calendar\"\n\n[deployment]");
    deployment.start();
    assert!(deployment.chancery(args("license install FILE --yes", &large)).status.success());
    for _ in 0..3 {
        assert_eq!(deployment.call("tenancy.tenants.export", json!({})).await.0, StatusCode::OK);
    }
    let exports = exports_of(&status(&deployment).await);
    assert_eq!(
        (&exports["limit"], &exports["used"], &exports["atCap"]),
        (&json!(100), &json!(3), &json!(false))
    );
    assert_eq!(exports["window"], "P1D");
    let output = deployment.chancery(args("license simulate FILE --exit-code", &small));
    assert_eq!(output.status.code(), Some(1), "something would be lost");
    let told = text(&output.stdout);
    assert!(told.contains("3 used now: ABOVE THE NEW LIMIT"), "{told}");
    assert!(told.contains("tenancy.children.create") && told.contains("CEILING_EXCEEDED"), "{told}");
    assert!(told.contains("features lost") && told.contains("tenancy.subtenants.v1"), "{told}");

    // Installed all the same, it refuses what comes, forgets nothing that was counted, and the next one counts from there.
    let export = async || deployment.call("tenancy.tenants.export", json!({})).await.0;
    assert!(deployment.chancery(args("license install FILE --yes", &small)).status.success());
    assert_eq!(export().await, StatusCode::TOO_MANY_REQUESTS);
    let exports = exports_of(&status(&deployment).await);
    assert_eq!(
        (&exports["limit"], &exports["used"], &exports["atCap"]),
        (&json!(1), &json!(3), &json!(true))
    );
    assert!(deployment.chancery(args("license install FILE --yes", &larger)).status.success());
    assert_eq!(export().await, StatusCode::OK);
    assert_eq!(export().await, StatusCode::TOO_MANY_REQUESTS);
}
