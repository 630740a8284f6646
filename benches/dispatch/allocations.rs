//! What a call allocates. A bench of its own, because an allocator that counts is slow.

mod cases;

use std::alloc::System;

use cases::{Case, Ready, block_on};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 500;

fn main() {
    println!("Allocations per call, and bytes; without what the audit task does for it afterwards.\n");
    for case in Case::ALL {
        let (allocations, bytes) = block_on(measure(case));
        println!("{:<38}{allocations:>10.2}{bytes:>10.0}", case.name());
    }
}

async fn measure(case: Case) -> (f64, f64) {
    let ready = Ready::make(case).await;
    for _ in 0..CALLS {
        ready.call().await;
    }
    tokio::task::yield_now().await;
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        ready.call().await;
    }
    let change = region.change();
    ready.check(2 * CALLS as usize).await;
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let per_call = |count: usize| count as f64 / f64::from(CALLS);
    (per_call(change.allocations), per_call(change.bytes_allocated))
}
