//! `health.live.check`

use std::convert::Infallible;

use sdk::prelude::*;

use crate::Health;

/// Say that the process answers.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("health.live.check", Health -> Alive)]
#[access(public)]
pub struct CheckLive {}

/// The process answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alive {
    /// Always `ok`: a process that cannot say so says nothing.
    pub status: String,
}

impl Handle<CheckLive> for Health {
    async fn handle(&self, _cx: &Cx, _command: CheckLive) -> Result<Alive, Infallible> {
        Ok(Alive { status: "ok".to_owned() })
    }
}
