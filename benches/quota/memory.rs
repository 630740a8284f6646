//! One thread, two buckets, reserve and commit.

use std::hint::black_box;

use chancery_benches::{Figure, Goal};
use quota::{MemoryQuota, MeteredStore};

use crate::{AMPLE, NOW, TTL, charge, clock};

const BATCHES: usize = 500;
const CALLS: u32 = 1_000;

/// Answers what has a goal.
pub(crate) fn run() -> Figure {
    println!("### In memory, one thread\n");
    println!("Nanoseconds per call: least and median of the means of {BATCHES} batches of {CALLS}.\n");
    println!("| | least | median |\n|---|--:|--:|");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let ours = runtime.block_on(async {
        let quota = MemoryQuota::new();
        let charges = [charge("acme", AMPLE)];
        let ours = measure("reserve and commit, tenant and platform", async || {
            let reserved = quota.reserve(black_box(&charges), TTL, NOW).await.expect("there is room");
            reserved.commit().await.expect("it is held");
        });
        let ours = ours.await.goal(Goal::AtMost(60.0));
        ours.tell();
        let store: std::sync::Arc<dyn MeteredStore> = std::sync::Arc::new(MemoryQuota::new());
        let port = measure("the same behind the port", async || {
            let reserved = store.reserve(black_box(&charges), TTL, NOW).await.expect("there is room");
            reserved.commit().await.expect("it is held");
        });
        port.await.tell();
        let tenants: Vec<_> = (0..1_000).map(|n| format!("tenant-{n}")).collect();
        let mut next = 0;
        let many = measure("the same over 1,000 tenants", async || {
            next = (next + 7) % tenants.len();
            let charges = [charge(&tenants[next], AMPLE)];
            let reserved = quota.reserve(black_box(&charges), TTL, NOW).await.expect("there is room");
            reserved.commit().await.expect("it is held");
        });
        many.await.tell();
        ours
    });
    #[cfg(feature = "peers")]
    crate::limiters::in_memory();
    println!();
    ours
}

async fn measure(name: &str, mut call: impl AsyncFnMut()) -> Figure {
    let mut means = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let start = clock();
        for _ in 0..CALLS {
            call().await;
        }
        means.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    print(name, means)
}

#[cfg(feature = "peers")]
pub(crate) fn measure_blocking(name: &str, mut call: impl FnMut()) {
    let mut means = Vec::with_capacity(BATCHES / 5);
    for _ in 0..BATCHES / 5 {
        let start = clock();
        for _ in 0..CALLS {
            call();
        }
        means.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    print(name, means).tell();
}

fn print(name: &str, mut means: Vec<f64>) -> Figure {
    means.sort_by(f64::total_cmp);
    println!("| {name} | {:.1} | {:.1} |", means[0], means[means.len() / 2]);
    Figure::median("quota, in memory", name, "ns", &means)
}
