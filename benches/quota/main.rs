//! Quotas beside their peers, in one run: what a charge costs, how many a second, and whether they are exact.
//!
//!     cargo bench --bench quota                     everything, as docs/quotas.md prints it
//!     cargo bench --bench quota -- memory           one of memory, durable, exactness
//!     cargo bench --bench quota -- durable 64       with so many callers only

mod durable;
mod exactness;
#[cfg(feature = "peers")]
mod limiters;
#[path = "../machine.rs"]
mod machine;
mod memory;
mod peers;

use std::{num::NonZeroU64, time::Duration};

use jiff::{SignedDuration, Timestamp};
pub(crate) use machine::clock;
use machine::introduce;
use quota::{Charge, TenantShare, Window};

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
    introduce();
    println!();
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("memory") {
        memory::run();
    }
    if wanted("durable") {
        durable::run(if callers.is_empty() { &durable::CALLERS } else { &callers });
    }
    if wanted("exactness") {
        exactness::run();
    }
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
