//! What a call costs: the handler called directly, then ever more of the house around it.

mod cases;
#[path = "../machine.rs"]
mod machine;

use chancery_benches::{Figure, Goal};

use cases::{Case, Ready, block_on};
use machine::{clock, introduce};

const TURNS: usize = 1_000;
const WARM_UP: usize = TURNS / 10;
const CALLS: u32 = 100;
/// What the column may add to a licensed, unmetered call (nanoseconds).
const GOAL: f64 = 250.0;

fn main() {
    introduce();
    println!("One thread, no tracing subscriber, events audited to memory on the same thread.");
    println!(
        "Nanoseconds per call: median and 99th percentile of the means of {TURNS} batches of {CALLS}, of all cases in turns;"
    );
    println!(
        "the median of what is more than the bus took in the same turn; and what the audit task does for it"
    );
    println!("afterwards (median).\n");
    println!("{:<38}{:>10}{:>10}{:>10}{:>12}", "", "median", "p99", "- bus", "audit task");
    let measured = block_on(measure());
    let bus = measured.iter().find(|(case, _)| *case == Case::Bare).expect("the bus").1.calls.clone();
    for (case, Figures { mut calls, mut audit }) in measured {
        let mut more: Vec<_> = calls.iter().zip(&bus).map(|(call, bus)| call - bus).collect();
        let (added, audit) = (quantile(&mut more, 50), quantile(&mut audit, 50));
        let (median, p99) = (quantile(&mut calls, 50), quantile(&mut calls, 99));
        Figure::median("column", case.name(), "ns", &calls).tell();
        println!("{:<38}{median:>10.1}{p99:>10.1}{added:>10.1}{audit:>12.1}", case.name());
        if case == Case::Licensed {
            let met = if added <= GOAL { "met" } else { "missed" };
            let figure = Figure::median("column", "what it adds to a licensed call", "ns", &more);
            figure.goal(Goal::AtMost(GOAL)).tell();
            println!("  goal: the column adds at most {GOAL} ns: {met}");
        }
    }
}

/// A mean for each batch.
#[derive(Default)]
struct Figures {
    calls: Vec<f64>,
    audit: Vec<f64>,
}

/// In turns, so that all cases meet the machine in the same moods.
async fn measure() -> Vec<(Case, Figures)> {
    let mut measured = Vec::new();
    for case in Case::ALL {
        measured.push((Ready::make(case).await, Figures::default()));
    }
    for turn in 0..WARM_UP + TURNS {
        for (ready, figures) in &mut measured {
            let start = clock();
            for _ in 0..CALLS {
                ready.call().await;
            }
            let called = clock();
            // The audit task's turn.
            tokio::task::yield_now().await;
            let audited = clock();
            if turn >= WARM_UP {
                figures.calls.push((called - start).as_secs_f64() * 1e9 / f64::from(CALLS));
                figures.audit.push((audited - called).as_secs_f64() * 1e9 / f64::from(CALLS));
            }
        }
    }
    for (ready, _) in &measured {
        ready.check((WARM_UP + TURNS) * CALLS as usize).await;
    }
    Case::ALL.into_iter().zip(measured.into_iter().map(|(_, figures)| figures)).collect()
}

fn quantile(means: &mut [f64], percent: usize) -> f64 {
    means.sort_by(f64::total_cmp);
    means[(means.len() * percent / 100).min(means.len() - 1)]
}
