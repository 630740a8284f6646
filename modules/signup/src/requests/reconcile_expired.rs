//! `signup.requests.reconcile-expired`

use jiff::Timestamp;
use sdk::prelude::*;

use crate::{SELF_SIGNUP, SIGNUPS_WRITE, Signup, SignupError, request::Reach};

/// End the requests whose links are too old. The server does so by itself; done twice, it changes nothing more.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("signup.requests.reconcile-expired", Signup -> Reconciled)]
#[access(permission = SIGNUPS_WRITE)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/reconcile/expired")]
pub struct ReconcileExpired {
    /// Those that were too old by then; the present when not stated. What lies in the future is not yet too old.
    #[serde(default)]
    pub now: Option<Timestamp>,
}

/// What was reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// How many requests were ended.
    pub expired_count: u64,
}

impl Handle<ReconcileExpired> for Signup {
    async fn handle(&self, cx: &Cx, command: ReconcileExpired) -> Result<Reconciled, SignupError> {
        // It touches requests of every tenant.
        if self.reach(cx) != Reach::All {
            return Err(SignupError::NoSuchRequest);
        }
        let now = command.now.map_or(cx.now(), |now| now.min(cx.now()));
        Ok(Reconciled { expired_count: self.expire(now).await? })
    }
}
