//! Durable charges a second, each in two buckets, beside what the same machine does for others.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use chancery_benches::{Figure, Goal};
use kit::{Cluster, Database};

use crate::{AMPLE, charge, clock, on, open, peers, runtime, spend};

const SECONDS: u64 = 3;
pub(crate) const CALLERS: [usize; 5] = [1, 8, 64, 256, 1_024];

/// What a run came to.
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Answers what has a goal: ours on one hot row of PostgreSQL, beside pgbench's.
pub(crate) fn run(callers: &[usize]) -> Vec<Figure> {
    println!("### Durable charges\n");
    println!(
        "Per second, and milliseconds of one call (median, 99th percentile), {SECONDS} s a case. Ours is reserve *and* \
         commit, in the\ntenant's bucket and the platform's; each answer is on disk. A case over 1,000 tenants begins with \
         buckets that do not exist\nyet, which is most of it for few callers. pgbench's row has one bucket and no \
         reservation, nor has Redis's script.\n"
    );
    println!("| | callers | per second | median ms | p99 ms | x pgbench |\n|---|--:|--:|--:|--:|--:|");
    let cluster = Cluster::durable();
    let sqlite = Database::sqlite();
    let pgbench: Vec<_> =
        callers.iter().map(|&callers| peers::pgbench(cluster.url(), callers, SECONDS)).collect();
    let with_base = || callers.iter().copied().zip(&pgbench);
    for (callers, base) in with_base() {
        print("pgbench, one UPDATE of one row", callers, base, base);
    }
    let mut judged = Vec::new();
    for (name, url) in [("PostgreSQL", cluster.url()), ("SQLite", sqlite.url())] {
        for tenants in [1, 1_000] {
            for (callers, base) in with_base() {
                let rate = ours(url, tenants, callers);
                let of = if tenants == 1 { "one hot tenant" } else { "1,000 tenants" };
                print(&format!("ours, {name}, {of}"), callers, &rate, base);
                if (name, tenants) == ("PostgreSQL", 1) {
                    judged.extend(judge(callers, &rate, base));
                }
            }
        }
    }
    for (callers, base) in with_base() {
        if let Some(rate) = peers::redis(callers) {
            print("Redis, two-scope script, fsync always", callers, &rate, base);
        }
    }
    println!();
    judged
}

fn print(name: &str, callers: usize, rate: &Rate, base: &Rate) {
    let Rate { per_second, p50, p99 } = rate;
    println!(
        "| {name} | {callers} | {per_second:.0} | {p50:.2} | {p99:.2} | {:.1} |",
        per_second / base.per_second
    );
    if callers == 64 {
        Figure::new(&group(callers), name, "per second", *per_second).tell();
    }
}

fn group(callers: usize) -> String {
    format!("quota, durable charges at {callers} callers")
}

/// Nothing is promised for other numbers of callers.
fn judge(callers: usize, rate: &Rate, base: &Rate) -> Vec<Figure> {
    let times = match callers {
        64 => 20.0,
        1_024 => 100.0,
        _ => return Vec::new(),
    };
    let figure = |what, unit, value, goal| {
        let case = format!("one hot tenant on PostgreSQL, {callers} callers: {what}");
        let figure = Figure::new(&group(callers), &case, unit, value).goal(goal);
        figure.tell();
        figure
    };
    vec![
        figure("rate beside pgbench's row", "times", rate.per_second / base.per_second, Goal::AtLeast(times)),
        figure("p99 beside pgbench's", "times", rate.p99 / base.p99, Goal::AtMost(1.0)),
    ]
}

fn ours(url: &str, tenants: usize, callers: usize) -> Rate {
    runtime().block_on(async {
        let quota = on(open(url).await);
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
                        spend(&quota, charge(&format!("tenant-{tenant}"), AMPLE)).await;
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

pub(crate) fn rate(mut taken: Vec<Duration>, elapsed: Duration) -> Rate {
    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)].as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
    let calls = taken.len() as f64;
    Rate { per_second: calls / elapsed.as_secs_f64(), p50: at(50), p99: at(99) }
}
