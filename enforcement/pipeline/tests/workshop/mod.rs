//! A module that meets every gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use quota::{BoxFuture, CardinalityProvider, Counted, Live};
use sdk::prelude::*;
use store::{StoreError, sqlx::AnyConnection};
use tokio::sync::Notify;

pub(crate) const CATALOG: &str = r#"
[[quota]]
key = "workshop.chairs.max"
kind = "METERED"
window = "P1D"
description = "chairs"
[[quota]]
key = "workshop.attempts.max"
kind = "METERED"
window = "P1D"
consume-on = "ATTEMPT"
description = "attempts"
[[quota]]
key = "workshop.benches.max"
kind = "CARDINALITY"
description = "benches that stand at the same time"
"#;
pub(crate) const WORK: Permission = Permission::new("workshop.work");
pub(crate) const CHAIRS: Quota<'_> = Quota::metered("workshop.chairs.max");
pub(crate) const ATTEMPTS: Quota<'_> = Quota::metered("workshop.attempts.max");
pub(crate) const BENCHES: Quota<'_> = Quota::cardinality("workshop.benches.max");
pub(crate) const POLICY: GuardedBy = GuardedBy::policy("workshop.policy");

#[derive(Clone, Default)]
pub(crate) struct Workshop {
    pub(crate) runs: Arc<AtomicU32>,
    pub(crate) benches: Arc<AtomicU32>,
    pub(crate) started: Arc<Notify>,
    pub(crate) finish: Arc<Notify>,
}

impl Workshop {
    fn run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Benches are kept in memory; nothing of the gate's unit of work is needed to count them.
impl CardinalityProvider for Workshop {
    fn count<'a>(
        &'a self,
        _work: &'a mut AnyConnection,
        _of: Counted<'a>,
    ) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
        let standing = u64::from(self.benches.load(Ordering::Relaxed));
        Box::pin(async move { Ok(Some(Live::Things(standing))) })
    }
}

impl Module for Workshop {
    const NAME: &'static str = "workshop";
    const PRODUCT: &'static str = "town";
    type Error = Broken;
}

#[derive(Debug)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the chair broke")
    }
}

impl std::error::Error for Broken {}

impl Problem for Broken {
    fn code(&self) -> &'static str {
        "broken"
    }

    fn category(&self) -> Category {
        Category::Conflict
    }
}

#[derive(Clone, Copy)]
pub(crate) struct NobodyNamedEve;

impl Guard for NobodyNamedEve {
    fn admit(&self, _cx: &Cx, _command: CommandId, input: &Input) -> Result<(), Refusal> {
        match input.message::<Guarded>() {
            Some(command) if command.name == "eve" => {
                Err(Refusal::new("not_you", Category::Forbidden, "not you"))
            }
            _ => Ok(()),
        }
    }
}

/// Carve a seat.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.carve", Workshop -> u32)]
#[access(permission = WORK)]
#[license]
pub(crate) struct Carve {}

impl Handle<Carve> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Carve) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Assemble a chair.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.assemble", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [CHAIRS])]
pub(crate) struct Assemble {
    pub(crate) legs: u32,
}

impl Handle<Assemble> for Workshop {
    async fn handle(&self, _cx: &Cx, command: Assemble) -> Result<u32, Broken> {
        match command.legs {
            0 => panic!("a chair without legs"),
            3 => Err(Broken),
            _ => Ok(self.run()),
        }
    }
}

/// Wait for glue to dry, for ever.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.wait", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [CHAIRS])]
pub(crate) struct Waiting {}

impl Handle<Waiting> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Waiting) -> Result<u32, Broken> {
        self.started.notify_one();
        std::future::pending().await
    }
}

/// Wait for glue to dry, an hour.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.slow", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [CHAIRS])]
pub(crate) struct Slow {}

impl Handle<Slow> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Slow) -> Result<u32, Broken> {
        tokio::time::sleep(Duration::from_hours(1)).await;
        Ok(self.run())
    }
}

/// Try and fail.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.fail", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [ATTEMPTS])]
pub(crate) struct Fail {}

impl Handle<Fail> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Fail) -> Result<u32, Broken> {
        self.run();
        Err(Broken)
    }
}

/// Fail once, then succeed.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.regret", Workshop -> u32)]
#[access(permission = WORK)]
#[license]
pub(crate) struct Regret {}

impl Handle<Regret> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Regret) -> Result<u32, Broken> {
        match self.run() {
            1 => Err(Broken),
            run => Ok(run),
        }
    }
}

/// Work under one's name.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.guarded", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [CHAIRS])]
#[guard(POLICY)]
pub(crate) struct Guarded {
    pub(crate) name: String,
}

impl Handle<Guarded> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Guarded) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Polish what is dangerous to polish.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.polish", Workshop -> u32)]
#[access(permission = WORK, aal = 2)]
#[license]
pub(crate) struct Polish {}

impl Handle<Polish> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Polish) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Sell the workshop. Whoever does so has signed in just now.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.sell", Workshop -> u32)]
#[access(permission = WORK, max_age = "15m")]
#[license]
pub(crate) struct Sell {}

impl Handle<Sell> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Sell) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Sketch a chair. Its author forgot the license.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.sketch", Workshop -> u32)]
#[access(permission = WORK)]
pub(crate) struct Sketch {}

impl Handle<Sketch> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Sketch) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Varnish a chair, which takes as long as it takes.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.varnish", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [CHAIRS])]
pub(crate) struct Varnish {}

impl Handle<Varnish> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Varnish) -> Result<u32, Broken> {
        self.started.notify_one();
        self.finish.notified().await;
        Ok(self.run())
    }
}

/// Look at the chairs.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.chairs.look", Workshop -> u32)]
#[access(public)]
#[license]
pub(crate) struct Look {}

impl Handle<Look> for Workshop {
    async fn handle(&self, _cx: &Cx, _command: Look) -> Result<u32, Broken> {
        Ok(self.run())
    }
}

/// Build a bench, which stands from then on.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("workshop.benches.build", Workshop -> u32)]
#[access(permission = WORK)]
#[license(quotas = [BENCHES, CHAIRS])]
pub(crate) struct Build {
    pub(crate) breaks: bool,
}

impl Handle<Build> for Workshop {
    async fn handle(&self, _cx: &Cx, command: Build) -> Result<u32, Broken> {
        if command.breaks {
            return Err(Broken);
        }
        Ok(self.benches.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
