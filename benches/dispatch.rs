//! What a call costs: the handler called directly, then ever more of the house around it.

mod machine;

use std::{collections::BTreeSet, convert::Infallible, hint::black_box, sync::Arc};

use kernel::{Authenticated, Bus, Modules, Registry};
use sdk::{descriptors::catalog::Catalog, prelude::*};
use serde_json::json;
use testkit::Testkit;

use machine::{clock, introduce};

const BATCHES: usize = 1_000;
const WARM_UP: usize = BATCHES / 10;
const CATALOG: &str = r#"
[[quota]]
key = "counter.calls.max"
kind = "METERED"
window = "P1D"
description = "calls"
"#;
const CALLS: Quota<'_> = Quota::metered("counter.calls.max");
const COUNT: Permission = Permission::new("counter.count");

#[derive(Clone, Copy)]
struct Counter;

impl Module for Counter {
    const NAME: &'static str = "counter";
    const PRODUCT: &'static str = "bench";
    type Error = Infallible;
}

/// Count on, under a license.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("counter.numbers.licensed", Counter -> u64)]
#[access(permission = COUNT)]
#[license]
struct Licensed {
    number: u64,
}

impl Handle<Licensed> for Counter {
    async fn handle(&self, _cx: &Cx, command: Licensed) -> Result<u64, Infallible> {
        Ok(command.number + 1)
    }
}

/// Count on, whatever the license.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("counter.numbers.exempt", Counter -> u64)]
#[access(permission = COUNT)]
#[license(none)]
struct Exempt {
    number: u64,
}

impl Handle<Exempt> for Counter {
    async fn handle(&self, _cx: &Cx, command: Exempt) -> Result<u64, Infallible> {
        Ok(command.number + 1)
    }
}

/// Count on, and be counted.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("counter.numbers.metered", Counter -> u64)]
#[access(permission = COUNT)]
#[license(quotas = [CALLS])]
struct Metered {
    number: u64,
}

impl Handle<Metered> for Counter {
    async fn handle(&self, _cx: &Cx, command: Metered) -> Result<u64, Infallible> {
        Ok(command.number + 1)
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let cx = caller();
    let direct = measure("direct call of the handler", 10_000, async || {
        Counter.handle(black_box(&cx), Licensed { number: black_box(7) }).await
    })
    .await;

    let registry = Arc::new(Registry::linked().expect("commands that fit together"));
    let door = registry.open(Modules::none().mount(Counter)).expect("the module, mounted");
    let bus = Bus::new(registry, door);
    let bare = measure("bus, straight to the door", 1_000, async || {
        bus.dispatch(cx.clone(), Licensed { number: 7 }).await
    })
    .await;

    let cases = [
        direct,
        bare,
        through_the_column("column, exempt", async |bus, cx| bus.dispatch(cx, Exempt { number: 7 }).await)
            .await,
        through_the_column("column, licensed", async |bus, cx| {
            bus.dispatch(cx, Licensed { number: 7 }).await
        })
        .await,
        through_the_column("column, licensed, JSON in and out", async |bus, cx| {
            bus.dispatch_json(cx, "counter.numbers.licensed", json!({ "number": 7 })).await
        })
        .await,
        through_the_column("column, licensed, metered in memory", async |bus, cx| {
            bus.dispatch(cx, Metered { number: 7 }).await
        })
        .await,
    ];
    print(&cases);
}

/// Measures calls through every gate. Each case has a pipeline of its own, so that none pays for the events of another.
async fn through_the_column<T, E: std::fmt::Debug>(
    name: &'static str,
    call: impl AsyncFn(&Bus, Cx) -> Result<T, E>,
) -> Case {
    const CALLS_PER_BATCH: u32 = 100;
    let testkit = Testkit::new(&[], |_| Modules::none().mount(Counter))
        .with_catalog(Catalog::assemble([("counter", CATALOG)]).expect("a catalog"))
        .licensed("bench")
        .limiting(CALLS, 1_000_000_000);
    let bus = testkit.bus().await;
    let cx = caller();
    let case = measure(name, CALLS_PER_BATCH, async || call(&bus, cx.clone()).await).await;
    let audited = testkit.events().await.len();
    assert_eq!(audited, (WARM_UP + BATCHES) * CALLS_PER_BATCH as usize, "every call is audited once");
    case
}

/// An operator, with the machine's clock and randomness.
fn caller() -> Cx {
    let ambient = Ambient::system();
    let tenant = TenantId(ambient.uuid());
    let operator = Authenticated {
        id: "operator:bench".to_owned(),
        home: Some(tenant),
        permissions: BTreeSet::from([COUNT.as_str()]),
        aal: 1,
        authenticated_at: ambient.now(),
        session: None,
    };
    Cx::new(ambient, Principal::Authenticated(Arc::new(operator))).with_tenant(tenant)
}

/// Nanoseconds per call: a mean for each batch, in order of size.
struct Case {
    name: &'static str,
    means: Vec<f64>,
}

impl Case {
    fn quantile(&self, percent: usize) -> f64 {
        self.means[(self.means.len() * percent / 100).min(self.means.len() - 1)]
    }
}

/// The end of a batch is the audit task's turn, so that what it does counts, and its queue stays short.
async fn measure<T, E: std::fmt::Debug>(
    name: &'static str,
    calls: u32,
    call: impl AsyncFn() -> Result<T, E>,
) -> Case {
    let mut means = Vec::with_capacity(BATCHES);
    for batch in 0..WARM_UP + BATCHES {
        let start = clock();
        for _ in 0..calls {
            black_box(call().await.expect("every call is let through"));
        }
        tokio::task::yield_now().await;
        let elapsed = start.elapsed();
        if batch >= WARM_UP {
            means.push(elapsed.as_secs_f64() * 1e9 / f64::from(calls));
        }
    }
    means.sort_by(f64::total_cmp);
    Case { name, means }
}

fn print(cases: &[Case; 6]) {
    let [direct, bare, ..] = cases;
    introduce();
    println!("One thread, no tracing subscriber, events audited to memory on the same thread.");
    println!("Nanoseconds per call: median and 99th percentile of the means of {BATCHES} batches.\n");
    println!("{:<38}{:>10}{:>10}{:>10}{:>10}", "", "median", "p99", "x direct", "x bare");
    for case in cases {
        let (median, p99) = (case.quantile(50), case.quantile(99));
        let (by_direct, by_bare) = (median / direct.quantile(50), median / bare.quantile(50));
        println!("{:<38}{median:>10.1}{p99:>10.1}{by_direct:>10.1}{by_bare:>10.2}", case.name);
    }
}
