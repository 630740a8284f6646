//! Quotas beside their peers, in one run: what a charge costs, how many a second, and whether they are exact.
//!
//!     benches/run --bench quota                     everything, as docs/quotas.md has it under "Measured"
//!     benches/run --bench quota -- memory           one of memory, durable, lone, exactness
//!     benches/run --bench quota -- durable 64       with so many callers only

mod durable;
mod exactness;
#[cfg(feature = "peers")]
mod limiters;
mod lone;
#[expect(dead_code, reason = "it is introduced in words of its own")]
#[path = "../machine.rs"]
mod machine;
mod memory;
mod peers;

use std::{
    fs,
    num::NonZeroU64,
    sync::OnceLock,
    time::{Duration, Instant},
};

use chancery_benches::Figure;
use jiff::{SignedDuration, Timestamp};
pub(crate) use machine::clock;
use machine::introduction;
use quota::{Charge, MIGRATIONS, MeteredStore, SqlQuota, TenantShare, Window};
use store::{Options, Store};

pub(crate) const NOW: Timestamp = Timestamp::constant(1_900_000_000, 0);
pub(crate) const TTL: Duration = Duration::from_mins(1);
pub(crate) const AMPLE: u64 = 1 << 60;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let part = arguments.next();
    if part.as_deref() == Some("worker") {
        return exactness::worker(&arguments.collect::<Vec<_>>());
    }
    let callers: Vec<usize> =
        arguments.map(|callers| callers.parse().expect("a number of callers")).collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "## Measured\n\n`benches/run --bench quota`, {}, load average {}\n",
        introduction(),
        &load[..load.len().min(4)]
    );
    println!(
        "Read ratios, not absolutes: everything here is of one run, and peers share the cores and the disk.\n"
    );
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let mut judged = Vec::new();
    if wanted("memory") {
        judged.push(memory::run());
    }
    if wanted("durable") {
        judged.extend(durable::run(if callers.is_empty() { &durable::CALLERS } else { &callers }));
    }
    if wanted("lone") {
        judged.extend(lone::run());
    }
    if wanted("exactness") {
        judged.extend(exactness::run());
    }
    println!("### Goals\n\n| | measured | | goal | |\n|---|--:|---|--:|---|");
    for figure in judged {
        let Figure { case, unit, value, goal, .. } = &figure;
        let goal = goal.map_or_else(String::new, |goal| goal.to_string());
        println!("| {case} | {value:.2} | {unit} | {goal} | {} |", figure.verdict());
    }
}

pub(crate) async fn open(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.expect("a database");
    store.migrate(MIGRATIONS).await.expect("our tables");
    store
}

pub(crate) fn on(store: Store) -> SqlQuota {
    SqlQuota::new(store, sdk::prelude::Ambient::system().uuid())
}

/// One call that succeeds.
pub(crate) async fn spend(quota: &SqlQuota, charge: Charge<'_>) {
    let reserved = quota.reserve(&[charge], TTL, now()).await.expect("there is room");
    reserved.commit().await.expect("it is held");
}

/// A clock that began at [`NOW`]: what calls leave to the next ones is of use for a second.
fn now() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    NOW + START.get_or_init(clock).elapsed()
}

/// A call that costs one unit, in both scopes.
pub(crate) fn charge(tenant: &str, limit: u64) -> Charge<'_> {
    Charge {
        quota: "messages.sent",
        units: NonZeroU64::MIN,
        window: Window { start: NOW, end: NOW + SignedDuration::from_hours(24) },
        platform_limit: limit,
        tenant: Some(TenantShare { id: tenant, limit }),
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
