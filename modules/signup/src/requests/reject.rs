//! `signup.requests.reject`

use sdk::prelude::*;
use uuid::Uuid;

use crate::{
    SELF_SIGNUP, SIGNUPS_WRITE, Signup, SignupError,
    request::{Marks, Step, advance},
};

/// Reject a request that waits. Operators of a tenant reject who would stand beneath it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.reject", Signup -> SignupRejected)]
#[access(permission = SIGNUPS_WRITE)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/{signupRequestId}/reject")]
pub struct RejectSignup {
    /// The request.
    pub signup_request_id: Uuid,
    /// Why, for other operators. Whoever asked is not told.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

/// The request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignupRejected {
    /// Always.
    pub rejected: bool,
}

impl Handle<RejectSignup> for Signup {
    async fn handle(&self, cx: &Cx, command: RejectSignup) -> Result<SignupRejected, SignupError> {
        let mut request = self.within_reach(cx, command.signup_request_id).await?;
        let verified = request.marks.verified_at.is_some();
        let marks = Marks {
            rejected_at: Some(cx.now()),
            rejected_by: Some(cx.principal().actor().to_owned()),
            rejected_reason: command.reason.map(|reason| reason.chars().take(500).collect()),
            ..Marks::default()
        };
        let mut work = self.store.begin().await?;
        advance(&mut work, &mut request, Step::Reject, marks).await?;
        // An address that nobody confirmed gets no more mail.
        if verified {
            self.send_rejection(&mut work, cx.ambient(), &request).await?;
        }
        work.commit(cx).await?;
        Ok(SignupRejected { rejected: true })
    }
}
