//! `platform.audit.tail`

use std::time::Duration;

use audit::{Entry, Position};
use sdk::prelude::*;

use crate::{AUDIT_READ, Platform, PlatformError};

/// How often it is looked for news while a caller waits.
const LOOK: Duration = Duration::from_millis(500);

/// The longest a caller may wait, within what a call may take.
const LONGEST: u32 = 20;

/// Show what was recorded after a place in the log, and wait for it if asked to. Calls of this command are left out.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.audit.tail", Platform -> Tail)]
#[access(permission = AUDIT_READ)]
#[license(none)]
#[http(POST "/api/audit/v1/tail")]
pub struct TailAudit {
    /// `next` of the answer before; an empty object is the beginning of the log. Not stated, only the end of the log is
    /// answered.
    #[serde(default)]
    pub after: Option<Position>,
    /// How long to wait for news, in seconds: at most 20, and 0 when not stated.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub wait_seconds: Option<u32>,
    /// How many at most: 1 to 1000, 100 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// What was recorded, the events of one chain in their order.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tail {
    /// The events. None means that there were no more.
    pub events: Vec<Entry>,
    /// Where the next call goes on.
    pub next: Position,
}

impl Handle<TailAudit> for Platform {
    async fn handle(&self, cx: &Cx, command: TailAudit) -> Result<Tail, PlatformError> {
        let Some(mut next) = command.after else {
            return Ok(Tail { events: Vec::new(), next: self.log.end_of_log().await? });
        };
        let limit = command.limit.unwrap_or(100).clamp(1, 1000);
        let wait = Duration::from_secs(command.wait_seconds.unwrap_or(0).min(LONGEST).into());
        let until = cx.now().checked_add(wait).unwrap_or(cx.now());
        loop {
            let recorded = self.log.tail(&mut next, limit).await?;
            let none = recorded.is_empty();
            let is_own = |entry: &Entry| entry.event.command.as_deref() == Some("platform.audit.tail");
            let events: Vec<_> = recorded.into_iter().filter(|entry| !is_own(entry)).collect();
            if !events.is_empty() || (none && cx.now() >= until) {
                return Ok(Tail { events, next });
            }
            if none {
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}
