//! Durable charges a second, each in two buckets, beside what the same machine does for others.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use chancery_benches::{Figure, Goal};
use kit::{Cluster, Database};
use quota::{MIGRATIONS, MeteredStore, SqlQuota};
use store::{Cause, Options, Store};
use uuid::Uuid;

use crate::{AMPLE, NOW, TTL, charge, clock, peers, runtime};

const SECONDS: u64 = 3;
pub(crate) const CALLERS: [usize; 5] = [1, 8, 64, 256, 1_024];

/// What a run came to.
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

pub(crate) fn run(callers: &[usize]) {
    println!("## Durable charges\n");
    println!(
        "Per second, and milliseconds of one call (median, 99th percentile), {SECONDS} s a case. Ours is reserve and \
         commit, in the tenant's bucket and the platform's; each answer is on disk.\n"
    );
    println!("| | callers | per second | median ms | p99 ms | x pgbench |\n|---|--:|--:|--:|--:|--:|");
    let cluster = Cluster::durable();
    let sqlite = Database::sqlite();
    let mut pgbench = vec![0.0; callers.len()];
    for (base, &callers) in pgbench.iter_mut().zip(callers) {
        let rate = peers::pgbench(cluster.url(), callers, SECONDS);
        *base = rate.per_second;
        print("pgbench, one UPDATE of one row", callers, &rate, *base);
    }
    for (name, url) in [("PostgreSQL", cluster.url()), ("SQLite", sqlite.url())] {
        for tenants in [1, 1_000] {
            for (base, &callers) in pgbench.iter().zip(callers) {
                let rate = ours(url, tenants, callers);
                let of = if tenants == 1 { "one hot tenant" } else { "1,000 tenants" };
                print(&format!("ours, {name}, {of}"), callers, &rate, *base);
            }
        }
    }
    lone(&[("PostgreSQL", cluster.url()), ("SQLite", sqlite.url())]);
    for (base, &callers) in pgbench.iter().zip(callers) {
        if let Some(rate) = peers::redis(callers) {
            print("Redis, two-scope script, fsync always", callers, &rate, *base);
        }
    }
    println!();
}

fn print(name: &str, callers: usize, Rate { per_second, p50, p99 }: &Rate, base: f64) {
    println!("| {name} | {callers} | {per_second:.0} | {p50:.2} | {p99:.2} | {:.1} |", per_second / base);
    if callers == 64 {
        const GROUP: &str = "quota, durable charges at 64 callers";
        Figure::new(GROUP, name, "per second", *per_second).tell();
        if name == "ours, PostgreSQL, one hot tenant" {
            let times = Figure::new(
                GROUP,
                "ours, one hot tenant, beside pgbench's one hot row",
                "times",
                per_second / base,
            );
            times.goal(Goal::AtLeast(20.0)).tell();
        }
    }
}

/// What a lone caller pays, beside one commit of the same library on the same connection, in turns. Both in a task, as in
/// a server: whoever blocks outside on the runtime pays for waking another thread.
fn lone(engines: &[(&str, &str)]) {
    for (name, url) in engines {
        let url = (*url).to_owned();
        let alone = async move {
            let store = open(&url).await;
            let quota = SqlQuota::new(store.clone(), Uuid::from_u128(7));
            let mut work = store.begin().await.expect("begin");
            store::sqlx::query("CREATE TABLE IF NOT EXISTS lone (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)")
                .execute(&mut *work)
                .await
                .expect("a table");
            store::sqlx::query("INSERT INTO lone VALUES (1, 0) ON CONFLICT (id) DO NOTHING")
                .execute(&mut *work)
                .await
                .expect("a row");
            work.commit(Cause::Upkeep).await.expect("commit");
            let (mut charges, mut commits) = (Vec::new(), Vec::new());
            for _ in 0..600 {
                let start = clock();
                spend(&quota, "lone").await;
                charges.push(start.elapsed());
                let start = clock();
                let mut work = store.begin().await.expect("begin");
                store::sqlx::query("UPDATE lone SET n = n + 1 WHERE id = 1")
                    .execute(&mut *work)
                    .await
                    .expect("update");
                work.commit(Cause::Upkeep).await.expect("commit");
                commits.push(start.elapsed());
            }
            (median(charges), median(commits))
        };
        let (charge, commit) =
            runtime().block_on(async { tokio::spawn(alone).await }).expect("a caller who does not fail");
        println!(
            "| ours, {name}, a lone caller: {:.2} ms, beside {:.2} ms for one commit: {:.2} times | 1 | | | | |",
            charge * 1e3,
            commit * 1e3,
            charge / commit
        );
    }
}

fn median(mut of: Vec<Duration>) -> f64 {
    of.sort_unstable();
    of[of.len() / 2].as_secs_f64()
}

async fn open(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.expect("a database");
    store.migrate(MIGRATIONS).await.expect("our tables");
    store
}

async fn spend(quota: &SqlQuota, tenant: &str) {
    let reserved = quota.reserve(&[charge(tenant, AMPLE)], TTL, NOW).await.expect("there is room");
    reserved.commit().await.expect("it is held");
}

fn ours(url: &str, tenants: usize, callers: usize) -> Rate {
    runtime().block_on(async {
        let quota = SqlQuota::new(open(url).await, fresh_node());
        let over = Arc::new(AtomicBool::new(false));
        let start = clock();
        let calling: Vec<_> = (0..callers)
            .map(|caller| {
                let (quota, over) = (quota.clone(), over.clone());
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    let mut tenant = caller;
                    while !over.load(Ordering::Relaxed) {
                        tenant = (tenant + 7) % tenants;
                        let start = clock();
                        spend(&quota, &format!("tenant-{tenant}")).await;
                        taken.push(start.elapsed());
                    }
                    taken
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        over.store(true, Ordering::Relaxed);
        let mut taken = Vec::new();
        for caller in calling {
            taken.extend(caller.await.expect("no caller fails"));
        }
        rate(taken, start.elapsed())
    })
}

fn fresh_node() -> Uuid {
    sdk::prelude::Ambient::system().uuid()
}

pub(crate) fn rate(mut taken: Vec<Duration>, elapsed: Duration) -> Rate {
    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)].as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls = taken.len() as f64;
    Rate { per_second: calls / elapsed.as_secs_f64(), p50: at(50), p99: at(99) }
}
