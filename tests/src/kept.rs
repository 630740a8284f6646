//! Deployments as older programs left them, in `tests/fixtures/schema/STEP/ENGINE`: the database as SQL, the files of the
//! folder that belong to it, and what they held. The program `keep-schema` makes one of this build.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Quickstart, answer, root};

/// The database.
const DUMP: &str = "database.sql";
/// What was found in it.
const HELD: &str = "held.json";
/// The files of a deployment that its database belongs to.
const FILES: [&str; 6] =
    ["chancery.toml", "credentials.json", "recipient.pem", "vendor-root.pem", "license.jwe", "root.pem"];

/// The folders of all that is kept of this engine, oldest first.
///
/// # Panics
///
/// When nothing is.
pub fn kept(engine: &str) -> Vec<PathBuf> {
    let steps = fs::read_dir(schemas()).expect("kept deployments");
    let mut folders: Vec<_> = steps.map(|step| step.expect("a folder").path().join(engine)).collect();
    folders.sort();
    folders
}

fn schemas() -> PathBuf {
    root().join("tests/fixtures/schema")
}

/// Stops a deployment and keeps it, by the latest step of its schema. Answers where.
///
/// # Panics
///
/// When it cannot be read or written.
pub async fn keep(mut deployment: Quickstart, config: &str, engine: &str, step: i64) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "what comes after it is not kept, by any clock")]
    let until = jiff::Timestamp::now().to_string();
    let held = json!({ "until": until, "held": held(&deployment, &until).await });
    assert!(deployment.stop(), "it ends well");
    let folder = schemas().join(step.to_string()).join(engine);
    fs::create_dir_all(&folder).expect("a folder for it");
    for name in FILES {
        fs::copy(deployment.path(name), folder.join(name)).expect("a file of its folder");
    }
    let here = deployment.path("");
    let config = config.replace(here.to_str().expect("a path of text"), "/nowhere/");
    fs::write(folder.join("chancery.toml"), config).expect("its configuration");
    fs::write(folder.join(HELD), format!("{held:#}\n")).expect("what it held");
    let mut dump = match engine {
        "sqlite" => Command::new("sqlite3"),
        _ => Command::new("pg_dump"),
    };
    match engine {
        "sqlite" => dump.args([file(deployment.database()), ".dump"]),
        _ => dump.args(["--no-owner", "--no-privileges", "--no-comments", &for_libpq(deployment.database())]),
    };
    let output = dump.output().expect("start the engine's own program");
    assert!(output.status.success(), "{}", crate::text(&output.stderr));
    // Without remarks, and without the orders of `psql` that an older one does not know.
    let said = crate::text(&output.stdout);
    let lines = said.lines().filter(|line| {
        !(line.is_empty()
            || line.starts_with("--")
            || line.starts_with("\\restrict")
            || line.starts_with("\\unrestrict"))
    });
    fs::write(folder.join(DUMP), lines.map(|line| format!("{line}\n")).collect::<String>())
        .expect("its database");
    folder
}

impl Quickstart {
    /// A deployment that was kept, on this empty database, served by today's program.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn continuing(database: kit::Database, kept: &Path) -> Self {
        let mut load = match database.url().split_once(':') {
            Some(("sqlite", _)) => Command::new("sqlite3"),
            _ => Command::new("psql"),
        };
        match database.url().split_once(':') {
            Some(("sqlite", _)) => load.args(["-bail", file(database.url())]),
            _ => load.args([
                "-X",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-o",
                "/dev/null",
                &for_libpq(database.url()),
            ]),
        };
        let dump = File::open(kept.join(DUMP)).expect("the kept database");
        let loaded = load.stdin(dump).status().expect("start the engine's own program");
        assert!(loaded.success(), "{} is not loaded", kept.display());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let demo = folder.path().join("demo");
        fs::create_dir(&demo).expect("its folder");
        for name in FILES {
            fs::copy(kept.join(name), demo.join(name)).expect("a kept file");
        }
        let mut deployment =
            Self { folder, database, program: "chancery".into(), process: None, welcome: String::new() };
        deployment.start();
        deployment
    }
}

/// What a kept deployment held, and what this one, which continues it, holds of that.
///
/// # Panics
///
/// When it does not say.
pub async fn then_and_now(deployment: &Quickstart, kept: &Path) -> (Value, Value) {
    let text = fs::read_to_string(kept.join(HELD)).expect("what it held");
    let mut then: Value = serde_json::from_str(&text).expect("JSON");
    let now = held(deployment, then["until"].as_str().expect("an instant")).await;
    (then["held"].take(), now)
}

/// What operators see of it that time does not change.
async fn held(deployment: &Quickstart, until: &str) -> Value {
    let admin = async |path: &str| {
        let path = format!("/api/platform/admin/v1/{path}");
        let (status, body) = answer(deployment.request(Method::GET, &path)).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    };
    let call = async |id: &str, input: Value| {
        let (status, body) = deployment.call(id, input).await;
        assert!(status.is_success(), "{id}: {status} {body}");
        body
    };
    let license = admin("application/license").await;
    let quotas = admin("quotas").await;
    let counted = quotas["quotas"].as_array().expect("quotas").iter().filter(|quota| {
        // Those that count what lives; the others begin again every day.
        quota["quotaKey"].as_str().is_some_and(|key| key.starts_with("tenants."))
    });
    let acme = deployment.tenant("acme").await;
    json!({
        "license": { "id": license["licenseId"], "status": license["status"] },
        "tenants": call("tenancy.tenants.list", json!({ "limit": 200 })).await["tenants"],
        "beneath acme": call("tenancy.children.list", json!({ "tenantId": acme })).await,
        "domains of acme": call("tenancy.domains.list", json!({ "tenantId": acme })).await,
        "operators": call("identity.operators.list", json!({})).await["operators"],
        "baseline": admin("entitlements/baseline").await,
        "subscriptions": admin("entitlements/subscriptions").await,
        "onboarding": admin("application/onboarding").await,
        "quotas": counted.map(|quota| json!([quota["quotaKey"], quota["scope"], quota["used"]])).collect::<Value>(),
        "events": call("platform.audit.query", json!({ "to": until, "limit": 1000 })).await["events"]
            .as_array().expect("events").len(),
    })
}

fn file(url: &str) -> &str {
    url.trim_start_matches("sqlite://")
}

/// Without what only sqlx knows.
fn for_libpq(url: &str) -> String {
    let mut address = reqwest::Url::parse(url).expect("an address");
    let known = address.query_pairs().into_owned().filter(|(name, _)| name != "statement-cache-capacity");
    let known: Vec<_> = known.collect();
    address.query_pairs_mut().clear().extend_pairs(known);
    address.into()
}
