//! What a call costs: the handler called directly, then ever more of the house around it.

mod cases;
#[path = "../machine.rs"]
mod machine;

use chancery_benches::{Figure, Goal};

use cases::{Case, Ready, block_on};
use machine::{clock, introduce};

const BATCHES: usize = 2_000;
const WARM_UP: usize = BATCHES / 10;
const CALLS: u32 = 100;
/// What the column may add to a licensed, unmetered call (nanoseconds).
const GOAL: f64 = 250.0;

fn main() {
    introduce();
    println!("One thread, no tracing subscriber, events audited to memory on the same thread.");
    println!(
        "Nanoseconds per call: median and 99th percentile of the means of {BATCHES} batches of {CALLS};"
    );
    println!("and what the audit task does for it afterwards (median).\n");
    println!("{:<38}{:>10}{:>10}{:>10}{:>10}", "", "median", "p99", "- bare", "audit task");
    let mut bare = f64::NAN;
    for case in Case::ALL {
        let Figures { mut calls, mut audit } = block_on(measure(case));
        let (median, p99, audit) =
            (quantile(&mut calls, 50), quantile(&mut calls, 99), quantile(&mut audit, 50));
        if case == Case::Bare {
            bare = median;
        }
        Figure::median("column", case.name(), "ns", &calls).tell();
        let added = median - bare;
        println!("{:<38}{median:>10.1}{p99:>10.1}{added:>10.1}{audit:>10.1}", case.name());
        if case == Case::Licensed {
            let met = if added <= GOAL { "met" } else { "missed" };
            Figure::new("column", "what it adds to a licensed call", "ns", added)
                .goal(Goal::AtMost(GOAL))
                .tell();
            println!("  goal: the column adds at most {GOAL} ns: {met}");
        }
    }
}

/// A mean for each batch.
struct Figures {
    calls: Vec<f64>,
    audit: Vec<f64>,
}

async fn measure(case: Case) -> Figures {
    let ready = Ready::make(case).await;
    let mut figures = Figures { calls: Vec::with_capacity(BATCHES), audit: Vec::with_capacity(BATCHES) };
    for batch in 0..WARM_UP + BATCHES {
        let start = clock();
        for _ in 0..CALLS {
            ready.call().await;
        }
        let called = clock();
        // The audit task's turn.
        tokio::task::yield_now().await;
        let audited = clock();
        if batch >= WARM_UP {
            figures.calls.push((called - start).as_secs_f64() * 1e9 / f64::from(CALLS));
            figures.audit.push((audited - called).as_secs_f64() * 1e9 / f64::from(CALLS));
        }
    }
    ready.check((WARM_UP + BATCHES) * CALLS as usize).await;
    figures
}

fn quantile(means: &mut [f64], percent: usize) -> f64 {
    means.sort_by(f64::total_cmp);
    means[(means.len() * percent / 100).min(means.len() - 1)]
}
