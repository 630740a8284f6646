//! Baseline and subscriptions on running servers: they survive a restart, every replica meets them within two seconds, and
//! another license cuts them anew.

use std::{
    fs,
    time::{Duration, Instant},
};

use chancery_acceptance::{Quickstart, Replica, Vendor, Wanted, answer, text};
use kit::Database;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const BASELINE: &str = "/api/platform/admin/v1/entitlements/baseline";
const CHILDREN: &str = "tenancy.children.create";
const EXPORT: &str = "tenancy.tenants.export";

fn subscription(tenant: &str) -> String {
    format!("/api/platform/admin/v1/tenants/{tenant}/subscription")
}

fn explain(command: &str, tenant: &str) -> String {
    format!("/api/platform/admin/v1/explain?command={command}&tenantId={tenant}")
}

/// All that the license has of it, features aside.
fn whole_product() -> Value {
    json!({ "products": { "chancery": {} } })
}

/// What the demo tenant inherits: everything but tenants beneath tenants.
fn without_children() -> Value {
    json!({
        "products": { "chancery": {} },
        "quotas": { "tenancy.exports.max": 2 },
    })
}

fn with_children() -> Value {
    json!({ "features": { "tenancy.subtenants.v1": true } })
}

async fn done(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert!(status.is_success(), "{status} {body}");
    body
}

async fn demo_tenant(deployment: &Quickstart) -> String {
    let (_, page) = deployment.call("tenancy.tenants.list", json!({})).await;
    page["tenants"][0]["tenantId"].as_str().unwrap_or_else(|| panic!("{page}")).to_owned()
}

/// Asks until the command is decided so, and tells how long that took.
#[expect(clippy::disallowed_methods, reason = "this measures how long something takes")]
async fn until(request: impl Fn() -> RequestBuilder, verdict: &str) -> Duration {
    let began = Instant::now();
    loop {
        let view = done(request()).await;
        if view["verdict"] == verdict {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it stays {view}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_on_on_one_server_is_met_by_the_other_within_two_seconds() {
    let mut deployment = Quickstart::over(Database::postgres().await);
    let tenant = demo_tenant(&deployment).await;
    let other: Replica = deployment.replica();
    let here = || deployment.request(Method::GET, &explain(EXPORT, &tenant));
    let there = || other.request(Method::GET, &explain(EXPORT, &tenant));
    until(there, "ALLOWED").await;
    let mut longest = Duration::ZERO;
    let mut revision = 0;
    let mut of_baseline = 0;
    for round in 0..5 {
        let set = json!({ "revision": of_baseline, "terms": json!({}) });
        let set = done(deployment.request(Method::PUT, BASELINE).json(&set)).await;
        assert_eq!(done(here()).await["reason"], "NOT_ENTITLED", "in force here before the answer");
        longest = longest.max(until(there, "DENIED").await);

        let wanted = json!({ "revision": revision, "terms": whole_product() });
        let path = subscription(&tenant);
        // Either server takes changes.
        let request = if round % 2 == 0 {
            deployment.request(Method::PUT, &path)
        } else {
            other.request(Method::PUT, &path)
        };
        let made = done(request.json(&wanted)).await;
        longest = longest.max(until(here, "ALLOWED").await).max(until(there, "ALLOWED").await);

        let path = format!("{path}?revision={}", made["revision"]);
        let cancelled = done(deployment.request(Method::DELETE, &path)).await;
        longest = longest.max(until(there, "DENIED").await);
        revision = cancelled["revision"].as_i64().unwrap();

        let path = format!("{BASELINE}?revision={}", set["revision"]);
        let cleared = done(deployment.request(Method::DELETE, &path)).await;
        longest = longest.max(until(there, "ALLOWED").await);
        of_baseline = cleared["revision"].as_i64().unwrap();
    }
    eprintln!("what is handed on was met by the other server after at most {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");

    // Windows open and close by the clock, on both.
    let set = json!({ "revision": of_baseline, "terms": json!({}) });
    done(deployment.request(Method::PUT, BASELINE).json(&set)).await;
    until(there, "DENIED").await;
    let now = jiff::Timestamp::from_millisecond(now_in_milliseconds()).unwrap();
    let (opens, closes) =
        (now + jiff::SignedDuration::from_secs(2), now + jiff::SignedDuration::from_secs(5));
    let wanted = json!({
        "revision": revision, "terms": whole_product(),
        "notBefore": opens.to_string(), "notAfter": closes.to_string(),
    });
    let made = done(deployment.request(Method::PUT, &subscription(&tenant)).json(&wanted)).await;
    assert_eq!(made["inForce"], false);
    for verdict in ["ALLOWED", "DENIED"] {
        until(here, verdict).await;
        until(there, verdict).await;
    }
    let behind = now_in_milliseconds() - closes.as_millisecond();
    assert!((0..2000).contains(&behind), "{behind} ms");

    drop(other);
    assert!(deployment.stop());
    deployment.start();
    let view = done(deployment.request(Method::GET, &explain(EXPORT, &tenant))).await;
    assert_eq!(view["reason"], "NOT_ENTITLED", "the baseline survives a restart");
}

#[expect(clippy::disallowed_methods, reason = "a window of validity is real time")]
fn now_in_milliseconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_license_cuts_subscriptions_anew() {
    let vendor = Vendor::open();
    let mut deployment = Quickstart::over(Database::sqlite());
    let tenant = demo_tenant(&deployment).await;
    assert!(deployment.stop());
    fs::copy(vendor.root(), deployment.path("vendor-root.pem")).unwrap();
    deployment.configure(r#""root.pem""#, r#""vendor-root.pem""#);
    deployment.configure("enabled = true\npath = \"license.jwe\"", "enabled = false");
    let asked = deployment.path("request.jws");
    let contact = "Ada Lovelace <ada@acme.example>:TECHNICAL";
    let line = ["license", "request", "--organization", "Acme", "--contact", contact, "--out"];
    let output = deployment.chancery(line.into_iter().chain([asked.to_str().unwrap()]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    deployment.start();
    let install = async |id, subtenants| {
        let wanted = Wanted { id, valid_days: 365, subtenants, exports: 100 };
        let license = fs::read_to_string(vendor.issue(&asked, &wanted)).unwrap();
        let path = "/api/platform/admin/v1/application/license";
        done(deployment.request(Method::POST, path).json(&json!({ "license": license }))).await
    };
    let ask = || deployment.request(Method::GET, &explain(CHILDREN, &tenant));
    install("L-1", false).await;
    let set = json!({ "revision": 0, "terms": without_children() });
    done(deployment.request(Method::PUT, BASELINE).json(&set)).await;
    let preview = format!("{}/preview", subscription(&tenant));
    let preview =
        done(deployment.request(Method::POST, &preview).json(&json!({ "terms": with_children() }))).await;
    assert_eq!(preview["beyondLicense"], json!(["tenancy.subtenants.v1"]));
    let wanted = json!({ "revision": 0, "terms": with_children() });
    done(deployment.request(Method::PUT, &subscription(&tenant)).json(&wanted)).await;
    assert_eq!(done(ask()).await["reason"], "CEILING_EXCEEDED");

    // The larger license: the subscription waited for it. Others hold no more than the baseline.
    install("L-2", true).await;
    assert_eq!(done(ask()).await["verdict"], "ALLOWED");
    let other = explain(CHILDREN, "00000000-0000-7000-8000-000000000001");
    assert_eq!(done(deployment.request(Method::GET, &other)).await["reason"], "NOT_ENTITLED");

    // What would be lost again is foretold for that tenant, here and on the command line.
    let smaller =
        vendor.issue(&asked, &Wanted { id: "L-3", valid_days: 365, subtenants: false, exports: 100 });
    let simulate = "/api/platform/admin/v1/application/license/simulate";
    let license = fs::read_to_string(&smaller).unwrap();
    let told = done(deployment.request(Method::POST, simulate).json(&json!({ "license": license }))).await;
    let line = ["license", "simulate", "--json", smaller.to_str().unwrap()];
    let output = deployment.chancery(line);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let on_command_line: Value = serde_json::from_slice(&output.stdout).unwrap();
    for told in [told, on_command_line] {
        assert_eq!(told["tenants"][0]["tenant"], tenant.as_str(), "{told}");
        let change = &told["tenants"][0]["commands"][0];
        assert_eq!(
            (&change["command"], &change["after"]["reason"]),
            (&json!(CHILDREN), &json!("CEILING_EXCEEDED"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_is_sold_handed_on_and_used() {
    let deployment = Quickstart::over(Database::sqlite());
    let tenant = demo_tenant(&deployment).await;
    let get = |path: &str| deployment.request(Method::GET, &format!("/api/platform/admin/v1/{path}"));

    let features = done(get("features")).await;
    let subtenants = features["features"].as_array().unwrap().iter();
    let subtenants = subtenants.clone().find(|it| it["key"] == "tenancy.subtenants.v1").unwrap();
    assert_eq!(subtenants["valueType"], "BOOLEAN");
    assert!(subtenants["commands"].as_array().unwrap().contains(&json!(CHILDREN)));
    let products = done(get("products")).await;
    assert_eq!(products["products"][0]["editions"][0]["id"], "community");
    assert!(products["products"][0]["licensed"]["edition"].is_string(), "{products}");

    // The tenant's limit is its own.
    let set = json!({ "revision": 0, "terms": without_children() });
    done(deployment.request(Method::PUT, BASELINE).json(&set)).await;
    let export = || {
        deployment.request(Method::POST, "/api/commands/tenancy.tenants.export?tenant=demo").json(&json!({}))
    };
    for _ in 0..2 {
        done(export()).await;
    }
    let (status, _) = answer(export()).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let quotas = done(get(&format!("quotas?tenantId={tenant}"))).await;
    let of = |scope: &str| {
        let quotas = quotas["quotas"].as_array().unwrap().iter();
        quotas
            .clone()
            .find(|it| it["quotaKey"] == "tenancy.exports.max" && it["scope"] == scope)
            .unwrap()
            .clone()
    };
    let (own, whole) = (of("TENANT"), of("PLATFORM"));
    assert_eq!((&own["used"], &own["limit"], &own["atCap"]), (&json!(2), &json!(2), &json!(true)));
    assert_eq!((&whole["used"], &whole["atCap"]), (&json!(2), &json!(false)));
    assert!(whole["windowEnd"].is_string() && whole["limit"].as_u64() > Some(2));
    let table = text(&deployment.chancery(["quota", "--tenant", "demo"]).stdout);
    assert!(table.contains("tenancy.exports.max") && table.contains("now"), "{table}");
    let listed = deployment.chancery(["quota", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed["quotas"].is_array());

    // The command line reads the same database.
    let denying = json!({ "revision": 0, "terms": { "deny": ["chancery.tenancy.tenants.get"] } });
    done(deployment.request(Method::PUT, &subscription(&tenant)).json(&denying)).await;
    let line = ["explain", "tenancy.tenants.get", "--json"];
    let view: Value = serde_json::from_slice(&deployment.chancery(line).stdout).unwrap();
    assert_eq!(view["verdict"], "ALLOWED");
    let line = ["explain", "tenancy.tenants.get", "--tenant", "demo", "--json"];
    let view: Value = serde_json::from_slice(&deployment.chancery(line).stdout).unwrap();
    assert_eq!((&view["reason"], &view["tenant"]), (&json!("COMMAND_DENIED"), &json!(tenant)));
    let line = ["explain", "tenancy.tenants.get", "--tenant", "demo", "--json", "--redacted"];
    let output = deployment.chancery(line);
    let told = text(&output.stdout);
    assert!(
        told.contains("COMMAND_DENIED") && !told.contains(&tenant) && !told.contains("licenseId"),
        "{told}"
    );
    let nobody = deployment.chancery(["explain", CHILDREN, "--tenant", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("`nobody`"));

    // Coverage in formats for machines.
    let sarif = done(get("coverage?format=sarif")).await;
    let log: Value = serde_json::from_str(sarif["text"].as_str().unwrap()).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(sarif["commands"].is_array() && sarif["wouldBeDenied"]["commands"].is_array());
    let junit = done(get("coverage?format=junit")).await;
    assert!(junit["text"].as_str().unwrap().contains("<testsuite"));
    assert_eq!(answer(get("coverage?format=xml")).await.0, StatusCode::BAD_REQUEST);

    let url = deployment.credentials()["url"].as_str().unwrap().to_owned();
    let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    for series in [
        "chancery_coverage_gaps{kind=\"MISSING_DESCRIPTOR\"}",
        "chancery_coverage_gaps{kind=\"DUPLICATE_ENTITLEMENT_KEY\"} 0",
        "chancery_quota_used{quota=\"tenancy.exports.max\",scope=\"platform\"}",
        "chancery_quota_limit{quota=\"tenancy.exports.max\",scope=\"platform\"}",
    ] {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_sells_what_its_own_files_list_and_a_bad_file_refuses_to_start() {
    let mut deployment = Quickstart::over(Database::sqlite());
    assert!(deployment.stop());
    let slice = deployment.path("own.toml");
    deployment.configure("[license.recipient]", "[catalog]\nslices = [\"own.toml\"]\n\n[license.recipient]");
    let started = |because: &str| {
        let output = deployment.chancery(["serve"]);
        assert_eq!(output.status.code(), Some(78), "{because}");
        let told = text(&output.stderr);
        assert!(told.contains("own.toml"), "{because}: {told}");
        told
    };
    started("it is not there");
    fs::write(
        &slice,
        "[[feature]]\nkey = \"tenancy.subtenants.v1\"\ntype = \"BOOLEAN\"\ndescription = \"\"\n",
    )
    .unwrap();
    assert!(started("it defines again what a module does").contains("tenancy.subtenants.v1"));
    let edition = "[[product]]\nid = \"bazaar\"\nname = \"Bazaar\"\n[[product.edition]]\nid = \"small\"\nname = \"S\"\n";
    fs::write(&slice, format!("{edition}features = {{ \"no.such.v1\" = true }}\n")).unwrap();
    assert!(started("it refers to nothing").contains("no.such.v1"));
    fs::write(&slice, format!("{edition}features = {{ \"tenancy.subtenants.v1\" = true }}\n")).unwrap();
    deployment.start();
    let products = done(deployment.request(Method::GET, "/api/platform/admin/v1/products")).await;
    let ids: Vec<_> =
        products["products"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["bazaar", "chancery"]);
    let matrix = text(&deployment.chancery(["matrix"]).stdout);
    assert!(matrix.contains("bazaar/small"), "{matrix}");
}
