//! `signup.requests.confirm`

use sdk::prelude::*;

use crate::{
    Confidential, SELF_SIGNUP, Signup, SignupError, SignupStatus,
    registration::SignupOutcome,
    request::{Marks, Step, advance, find},
    token,
};

/// Confirm the address of a request with the token of its link. Where nobody has to approve, the tenant is registered.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.confirm", Signup -> SignupOutcome)]
#[access(public)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/confirm")]
pub struct ConfirmSignup {
    /// The token from the fragment of the link. It works once.
    pub plain_verification_token: Confidential,
}

impl Handle<ConfirmSignup> for Signup {
    async fn handle(&self, cx: &Cx, command: ConfirmSignup) -> Result<SignupOutcome, SignupError> {
        let token = &command.plain_verification_token;
        self.admit_source(cx, &self.settings.platform).await?;
        let id = token::request_of(token).ok_or(SignupError::InvalidToken)?;
        let found = find(self.store.reader(), id).await?;
        // The hash is compared even where there is no request, so that it takes as long.
        let kept = found.as_ref().map_or("", |request| request.token_hash.as_str());
        let matches = token::matches(token, kept);
        let mut request = found.filter(|_| matches).ok_or(SignupError::InvalidToken)?;
        let (policy, now) = (self.policy(request.parent), cx.now());
        if request.status != SignupStatus::PendingEmail || request.expires_at <= now {
            return Err(SignupError::InvalidToken);
        }

        let approval = policy.require_approval;
        let marks =
            Marks { verified_at: Some(now), confirmed_at: (!approval).then_some(now), ..Marks::default() };
        let mut work = self.store.begin().await?;
        let verified = advance(&mut work, &mut request, Step::Verify { approval }, marks).await;
        verified.map_err(|error| match error {
            // The same token, used at the same moment.
            SignupError::Misplaced(_) => SignupError::InvalidToken,
            error => error,
        })?;
        work.commit(cx).await?;
        if !approval {
            self.register(cx, &mut request).await?;
        }
        Ok((&request).into())
    }
}
