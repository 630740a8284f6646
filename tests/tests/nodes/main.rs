//! Three servers on one PostgreSQL, behind a plain balancer: counted as one, killed and replaced, upgraded, and over a database
//! that fails over. Nothing that was acknowledged is lost, and no limit is exceeded.

mod fleet;

use std::{collections::BTreeMap, fs, sync::atomic::Ordering::SeqCst, time::Duration};

use chancery_acceptance::{answer, text};
use kit::{Cluster, Database};
use reqwest::Method;
use serde_json::json;
use store::{Cause, Options, Store, sqlx};
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Found, Load, Switch};

const LICENSE: &str = "/api/platform/admin/v1/application/license";
const PLENTY: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_admit_exactly_what_the_license_says() {
    const LIMIT: u64 = 150;
    let fleet = Fleet::of(Database::postgres().await, LIMIT).await;
    let callers = (0..24).map(|caller| {
        let calling = fleet.caller();
        tokio::spawn(async move {
            // Two tenants, of which each may use all that the platform has.
            let path = match caller % 2 {
                0 => "/api/commands/tenancy.tenants.export",
                _ => "/api/commands/tenancy.tenants.export?tenant=demo",
            };
            let mut answers = Vec::new();
            for _ in 0..12 {
                answers.push(calling.call(path, json!({})).await.expect("an answer").as_u16());
            }
            answers
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut told = BTreeMap::<u16, u64>::new();
    for caller in callers {
        for status in caller.await.unwrap() {
            *told.entry(status).or_default() += 1;
        }
    }
    assert_eq!(told, BTreeMap::from([(200, LIMIT), (429, 24 * 12 - LIMIT)]));
    assert_eq!(fleet.found().await.charged, LIMIT);
    fleet.unharmed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_installed_on_one_node_is_seen_by_all_within_two_seconds() {
    let fleet = Fleet::of(Database::postgres().await, PLENTY).await;
    let mut longest = Duration::ZERO;
    for id in ["L-1", "L-2", "L-3", "L-4"] {
        let text = fs::read_to_string(fleet.license(id, PLENTY)).unwrap();
        let install = fleet.request(Method::POST, LICENSE).json(&json!({ "license": text }));
        let (status, installed) = answer(install).await;
        assert!(status.is_success(), "{installed}");
        let began = Instant::now();
        for node in &fleet.nodes {
            while answer(node.request(Method::GET, LICENSE)).await.1["licenseId"] != id {
                assert!(began.elapsed() < Duration::from_secs(10), "a node does not see it");
                sleep(Duration::from_millis(20)).await;
            }
        }
        longest = longest.max(began.elapsed());
    }
    eprintln!("an installed license was seen by all nodes after at most {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    // A smaller one counts everywhere just the same: what is used is beyond it, so nobody gets more.
    let calling = fleet.caller();
    for _ in 0..6 {
        let exported = calling.call("/api/commands/tenancy.tenants.export", json!({})).await;
        assert_eq!(exported.unwrap().as_u16(), 200);
    }
    fleet.unharmed();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_killed_and_replaced_under_load_lose_nothing_that_was_acknowledged() {
    let mut fleet = Fleet::of(Database::postgres().await, PLENTY).await;
    let load = Load::start(&fleet, 8);
    load.served(20).await;
    for _ in 0..6 {
        fleet.unharmed();
        // Always the one that has served longest.
        tokio::task::block_in_place(|| fleet.replace(0));
        load.served(10).await;
    }
    let told = load.end().await;
    told.holds(&fleet.found().await, PLENTY);
    assert!(told.tenants.lock().unwrap().len() > 50);
    fleet.unharmed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_not_exceeded_by_nodes_that_are_killed_at_it() {
    const LIMIT: u64 = 300;
    let mut fleet = Fleet::of(Database::postgres().await, LIMIT).await;
    let load = Load::start(&fleet, 8);
    let began = Instant::now();
    let mut at_the_limit = 0;
    while at_the_limit < 2 {
        assert!(began.elapsed() < Duration::from_secs(45), "the limit is not reached");
        tokio::task::block_in_place(|| fleet.replace(0));
        at_the_limit += u64::from(load.told.others.lock().unwrap().contains_key(&429));
    }
    let told = load.end().await;
    told.holds(&fleet.found().await, LIMIT);
    fleet.unharmed();
}

/// `PROGRAM_BEFORE` names the program of an older build, to upgrade from it; without it, it is the same program.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_taken_out_and_replaced_one_by_one_break_no_call() {
    let before = std::env::var_os("PROGRAM_BEFORE");
    let program = before.clone().unwrap_or_else(|| "chancery".into()).into();
    let mut fleet = Fleet::before(program, Database::postgres().await, PLENTY).await;
    assert!(tokio::task::block_in_place(|| fleet.deployment.stop()), "it ends well");
    fleet.deployment.upgrade();
    let load = Load::start(&fleet, 6);
    load.served(10).await;
    for _ in 0..3 {
        let mut leaving = fleet.nodes.remove(0);
        fleet.balance();
        // What the balancer has on its way to it gets there.
        sleep(Duration::from_millis(300)).await;
        let log = tokio::task::block_in_place(|| {
            assert!(leaving.stop(), "it ends well");
            leaving.logged()
        });
        assert!(!log.contains("panicked"), "{log}");
        load.served(10).await;
        tokio::task::block_in_place(|| fleet.start());
        load.served(10).await;
    }
    let told = load.end().await;
    let upgraded = fleet.found().await;
    told.holds(&upgraded, PLENTY);
    assert_eq!(told.broken.load(SeqCst), 0, "connections broke");
    // What older nodes have prepared may not fit the newer schema for a second.
    if before.is_none() {
        assert_eq!(*told.others.lock().unwrap(), BTreeMap::new());
    }
    let load = Load::start(&fleet, 6);
    load.served(10).await;
    let told = load.end().await;
    let found = fleet.found().await;
    told.holds(&Found { charged: found.charged - upgraded.charged, ..found }, PLENTY);
    assert_eq!(*told.others.lock().unwrap(), BTreeMap::new());
    let (status, proof) = answer(fleet.request(Method::GET, "/api/audit/v1/verify")).await;
    assert!(status.is_success() && proof["intact"] == true, "{status}: {proof}");
}

/// Takes back the latest step of the schema, as if the program before it had run here.
async fn undo_a_migration(url: &str) -> i64 {
    const STEP: i64 = 20_261_130_000_300;
    let store = Store::open(url, Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    let latest = sqlx::query_scalar("SELECT max(version) FROM schema_migration");
    let latest: i64 = latest.fetch_one(&mut *work).await.unwrap();
    assert_eq!(latest, STEP, "this test takes back the latest step");
    sqlx::query("DROP FUNCTION quota_grant").execute(&mut *work).await.unwrap();
    let gone = sqlx::query("DELETE FROM schema_migration WHERE version = $1").bind(STEP);
    assert_eq!(gone.execute(&mut *work).await.unwrap().rows_affected(), 1);
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
    STEP
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_on_the_previous_schema_upgrade_it_once_and_keep_what_it_holds() {
    let mut fleet = Fleet::of(Database::postgres().await, PLENTY).await;
    let load = Load::start(&fleet, 4);
    load.served(10).await;
    let told = load.end().await;
    fleet.nodes.clear();
    let step = undo_a_migration(fleet.deployment.database()).await;

    tokio::task::block_in_place(|| fleet.start());
    let before = fleet.found().await;
    told.holds(&before, PLENTY);
    let store = Store::open(fleet.deployment.database(), Options::default()).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM schema_migration WHERE version = $1")
        .bind(step)
        .fetch_one(store.reader())
        .await
        .unwrap();
    assert_eq!(applied, 1);

    // A newer program adds to the schema while these run. What they have prepared does not fit for a second; then they go on.
    // A new start of theirs refuses.
    let load = Load::start(&fleet, 4);
    load.served(5).await;
    let mut work = store.begin().await.unwrap();
    for statement in [
        "ALTER TABLE tenancy_tenant ADD COLUMN of_a_newer_program TEXT",
        "INSERT INTO schema_migration (version, description, success, checksum, execution_time)
         VALUES (20991231000000, 'of a newer program', TRUE, decode('00', 'hex'), 0)",
    ] {
        sqlx::query(statement).execute(&mut *work).await.unwrap();
    }
    work.commit(Cause::Upkeep).await.unwrap();
    store.close().await;
    sleep(Duration::from_secs(3)).await;
    let told = load.end().await;
    assert_eq!(told.broken.load(SeqCst), 0);
    let found = fleet.found().await;
    told.holds(&Found { charged: found.charged - before.charged, ..found }, PLENTY);
    let load = Load::start(&fleet, 4);
    load.served(30).await;
    assert_eq!(*load.end().await.others.lock().unwrap(), BTreeMap::new());
    let refused = tokio::task::block_in_place(|| fleet.deployment.chancery(["serve"]));
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("20991231000000"), "{}", text(&refused.stderr));
    fleet.unharmed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_over_to_its_standby_loses_nothing_and_service_resumes_by_itself() {
    let mut cluster = tokio::task::block_in_place(Cluster::durable);
    let switch = Switch::to(cluster.socket());
    let url = format!("postgres://postgres@localhost/postgres?host={}", switch.folder().display());
    let fleet = Fleet::of(Database::at(&url), PLENTY).await;
    let standby = tokio::task::block_in_place(|| cluster.standby());
    let load = Load::start(&fleet, 8);
    load.served(40).await;

    tokio::task::block_in_place(|| cluster.crash());
    // For a while there is no database. Nobody is told of a success.
    sleep(Duration::from_millis(500)).await;
    let before = load.told.exports.load(SeqCst);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(load.told.exports.load(SeqCst), before, "nothing is served without a database");
    let alive = reqwest::get(format!("http://{}/healthz", fleet.nodes[0].address())).await.unwrap();
    let ready = reqwest::get(format!("http://{}/readyz", fleet.nodes[0].address())).await.unwrap();
    assert_eq!((alive.status().as_u16(), ready.status().as_u16()), (200, 503));

    tokio::task::block_in_place(|| cluster.promote());
    switch.turn(standby);
    let took = load.served(1).await;
    eprintln!("service resumed {took:?} after the standby took over");
    load.served(60).await;
    let told = load.end().await;
    told.holds(&fleet.found().await, PLENTY);
    let others = told.others.lock().unwrap().clone();
    // 403 is a quota that could not be established.
    assert!(others.keys().all(|status| [403, 500, 503, 504].contains(status)), "{others:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    fleet.unharmed();
}
