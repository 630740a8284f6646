//! Quotas beside their peers, in one run: what a charge costs, how many a second, and whether they are exact.
//!
//!     cargo bench --bench quota                     everything, as docs/quotas.md prints it
//!     cargo bench --bench quota -- memory           one of memory, durable, exactness

mod durable;
mod exactness;
mod memory;
mod peers;

use std::{fs, num::NonZeroU64, process::Command, thread, time::Duration, time::Instant};

use jiff::{SignedDuration, Timestamp};
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
    println!("{}, {} cores; {}\n", processor(), cores(), compiler());
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("memory") {
        memory::run();
    }
    if wanted("durable") {
        durable::run();
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

#[expect(clippy::disallowed_methods, reason = "a bench measures with the machine's clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn compiler() -> String {
    let answer = Command::new("rustc").arg("--version").output().map(|output| output.stdout);
    String::from_utf8_lossy(&answer.unwrap_or_default()).trim().to_owned()
}
