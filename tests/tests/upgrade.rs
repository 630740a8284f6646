//! What older programs wrote is found again by this one, on both engines, and a step of the schema that was shipped stays as
//! it was.

use std::{collections::BTreeSet, fs};

use chancery_acceptance::{Fresh, Quickstart, kept, root, text, then_and_now};
use kit::Database;
use reqwest::StatusCode;
use serde_json::json;
use store::{
    Options, Store,
    sqlx::{self, Row},
};

async fn found_again(engine: &str, database: impl AsyncFn() -> Database) {
    for kept in kept(engine) {
        eprintln!("{}", kept.display());
        let mut deployment = Quickstart::continuing(database().await, &kept);
        let (then, now) = then_and_now(&deployment, &kept).await;
        assert_eq!(then, now);

        let credentials = deployment.credentials();
        for (name, password) in [
            (credentials["operator"].as_str().unwrap(), credentials["password"].as_str().unwrap()),
            ("clerk", "correct horse battery staple"),
        ] {
            let wanted = json!({ "name": name, "password": password });
            let (status, session) = deployment.call("identity.sessions.create", wanted).await;
            assert_eq!(status, StatusCode::OK, "{name}: {session}");
        }
        let (status, body) = deployment.call("tenancy.tenants.create", json!({ "slug": "after" })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body) = deployment.call("tenancy.tenants.create", json!({ "slug": "acme" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{body}");

        let proof = deployment.chancery(["audit", "verify"]);
        assert!(proof.status.success(), "{}{}", text(&proof.stdout), text(&proof.stderr));
        assert!(deployment.stop(), "it ends well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_older_programs_wrote_is_found_again_on_sqlite() {
    found_again("sqlite", async || Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_older_programs_wrote_is_found_again_on_postgresql() {
    found_again("postgres", Database::postgres).await;
}

/// Every step as the engines note it: `VERSION ENGINE CHECKSUM NAME`.
async fn steps() -> BTreeSet<String> {
    let mut steps = BTreeSet::new();
    for (engine, database) in [("sqlite", Database::sqlite()), ("postgres", Database::postgres().await)] {
        let fresh = Fresh::over(database, "");
        let store = Store::open(fresh.database(), Options::default()).await.unwrap();
        let rows = sqlx::query("SELECT version, checksum, description FROM schema_migration")
            .fetch_all(store.reader())
            .await
            .unwrap();
        for row in rows {
            let (version, checksum, name): (i64, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
            // Half of a SHA-384 is enough to tell.
            let checksum: Vec<_> = checksum[..24].iter().map(|byte| format!("{byte:02x}")).collect();
            steps.insert(format!("{version} {engine} {} {name}", checksum.concat()));
        }
        store.close().await;
    }
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_the_schema_that_was_shipped_stays_as_it_was() {
    let path = root().join("tests/golden/schema.txt");
    let shipped: BTreeSet<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    let steps = steps().await;
    let changed: Vec<_> = shipped.difference(&steps).collect();
    assert!(
        changed.is_empty(),
        "these steps were shipped, and are changed or gone: {changed:#?}; \
         leave them as they were, and add a new migration for what is to be different"
    );
    // Only ever adds.
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        let lines: String = steps.iter().map(|step| format!("{step}\n")).collect();
        fs::write(path, lines).unwrap();
        return;
    }
    let new: Vec<_> = steps.difference(&shipped).collect();
    assert!(
        new.is_empty(),
        "these steps are new: {new:#?}; before they are shipped, run this test with BLESS=1, and \
         `cargo run -p chancery-acceptance --bin keep-schema`"
    );
}
