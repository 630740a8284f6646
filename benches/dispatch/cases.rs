//! The house around one small command, in ever more layers. What the bench of time and the bench of allocations call.

use std::{collections::BTreeSet, convert::Infallible, hint::black_box, sync::Arc};

use kernel::{Authenticated, Bus, Modules, Registry};
use sdk::{descriptors::catalog::Catalog, prelude::*};
use serde_json::json;
use testkit::Testkit;

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
#[http(GET "/bench/1")]
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
#[http(GET "/bench/2")]
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

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Direct,
    Bare,
    Exempt,
    Licensed,
    Json,
    Metered,
}

impl Case {
    pub(crate) const ALL: [Self; 6] =
        [Self::Direct, Self::Bare, Self::Exempt, Self::Licensed, Self::Json, Self::Metered];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct call of the handler",
            Self::Bare => "bus, straight to the door",
            Self::Exempt => "column, exempt",
            Self::Licensed => "column, licensed",
            Self::Json => "column, licensed, JSON in and out",
            Self::Metered => "column, licensed, metered in memory",
        }
    }

    const fn passes_the_column(self) -> bool {
        !matches!(self, Self::Direct | Self::Bare)
    }
}

/// One case, ready to be called. Each has a pipeline of its own, so that none pays for the events of another.
pub(crate) struct Ready {
    case: Case,
    bus: Bus,
    cx: Cx,
    testkit: Testkit,
}

impl Ready {
    pub(crate) async fn make(case: Case) -> Self {
        Self::of(case, testkit()).await
    }

    pub(crate) async fn of(case: Case, testkit: Testkit) -> Self {
        let bus = if case.passes_the_column() {
            testkit.bus().await
        } else {
            let registry = Arc::new(Registry::linked().expect("commands that fit together"));
            let door = registry.open(Modules::none().mount(Counter)).expect("the module, mounted");
            Bus::new(registry, door)
        };
        Self { case, bus, cx: caller(), testkit }
    }

    pub(crate) async fn call(&self) {
        let (bus, cx) = (&self.bus, self.cx.clone());
        let number = black_box(7);
        let answer = match self.case {
            Case::Direct => Counter.handle(black_box(&self.cx), Licensed { number }).await.ok(),
            Case::Bare | Case::Licensed => bus.dispatch(cx, Licensed { number }).await.ok(),
            Case::Exempt => bus.dispatch(cx, Exempt { number }).await.ok(),
            Case::Metered => bus.dispatch(cx, Metered { number }).await.ok(),
            Case::Json => {
                let input = json!({ "number": number });
                let answer = bus.dispatch_json(cx, "counter.numbers.licensed", input).await;
                answer.ok().and_then(|answer| answer.as_u64())
            }
        };
        assert_eq!(black_box(answer), Some(8), "every call is let through");
    }

    /// Of all calls so far, each must have been audited once.
    pub(crate) async fn check(&self, calls: usize) {
        if self.case.passes_the_column() {
            assert_eq!(self.testkit.events().await.len(), calls, "every call is audited once");
        }
    }
}

/// Every gate, under a license for all there is here.
pub(crate) fn testkit() -> Testkit {
    Testkit::new(&[], |_| Modules::none().mount(Counter))
        .with_catalog(Catalog::assemble([("counter", CATALOG)]).expect("a catalog"))
        .licensed("bench")
        .limiting(CALLS, 1_000_000_000)
}

/// An operator, with the machine's clock and randomness.
pub(crate) fn caller() -> Cx {
    let ambient = Ambient::system();
    let tenant = TenantId(ambient.uuid());
    let operator = Authenticated {
        id: "operator:bench".to_owned(),
        home: Some(tenant),
        permissions: BTreeSet::from([COUNT.as_str()]),
        aal: 1,
        session: None,
        authenticated_at: ambient.now(),
    };
    Cx::new(ambient, Principal::Authenticated(Arc::new(operator))).with_tenant(tenant)
}

/// The audit task shares the thread, and works when it is its turn.
pub(crate) fn block_on<F: Future>(run: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(run)
}
