//! `signup.requests.approve`

use sdk::prelude::*;
use uuid::Uuid;

use crate::{
    SELF_SIGNUP, SIGNUPS_WRITE, Signup, SignupError,
    registration::SignupOutcome,
    request::{Marks, Step, advance},
};

/// Approve a request, and register its tenant. Operators of a tenant approve who would stand beneath it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.approve", Signup -> SignupOutcome)]
#[access(permission = SIGNUPS_WRITE)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/{signupRequestId}/approve")]
pub struct ApproveSignup {
    /// The request.
    pub signup_request_id: Uuid,
}

impl Handle<ApproveSignup> for Signup {
    async fn handle(&self, cx: &Cx, command: ApproveSignup) -> Result<SignupOutcome, SignupError> {
        let mut request = self.within_reach(cx, command.signup_request_id).await?;
        let marks = Marks {
            approved_at: Some(cx.now()),
            approved_by: Some(cx.principal().actor().to_owned()),
            confirmed_at: Some(cx.now()),
            ..Marks::default()
        };
        let mut work = self.store.begin().await?;
        advance(&mut work, &mut request, Step::Approve, marks).await?;
        work.commit(cx).await?;
        self.register(cx, &mut request).await?;
        Ok((&request).into())
    }
}
