//! `signup.requests.resend`

use jiff::Timestamp;
use sdk::{prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{
    SELF_SIGNUP, Signup, SignupError, SignupStatus,
    request::{SignupRequest, find},
    token::Token,
};

/// Ask for another link. The one before works no more. The answer does not tell whether there is such a request, or
/// whether it may have another link.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.resend", Signup -> ResendAccepted)]
#[access(public)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/{signupRequestId}/resend" => 202)]
pub struct ResendLink {
    /// The request.
    pub signup_request_id: Uuid,
}

/// If the request waits for its address to be confirmed and may have another link, one is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResendAccepted {
    /// The request that was named.
    pub signup_request_id: Uuid,
}

impl Handle<ResendLink> for Signup {
    async fn handle(&self, cx: &Cx, command: ResendLink) -> Result<ResendAccepted, SignupError> {
        let id = command.signup_request_id;
        self.can_send()?;
        self.admit_source(cx, &self.settings.platform).await?;
        if let Some(request) = find(self.store.reader(), id).await? {
            match self.send_again(cx, request).await {
                // That there is a limit for the address would tell that there is a request.
                Ok(()) | Err(SignupError::TooMany { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ResendAccepted { signup_request_id: id })
    }
}

impl Signup {
    async fn send_again(&self, cx: &Cx, mut request: SignupRequest) -> Result<(), SignupError> {
        let (policy, now) = (self.policy(request.parent), cx.now());
        let waits = request.status == SignupStatus::PendingEmail && now < request.expires_at;
        if !policy.enabled || !waits || request.resends >= policy.max_resends {
            return Ok(());
        }
        let token = Token::mint(request.id, cx.ambient());
        request.expires_at = now.saturating_add(policy.token_ttl).unwrap_or(Timestamp::MAX);
        let mut work = self.store.begin().await?;
        self.admit_email(&mut work, &request.email, &policy, now).await?;
        let updated = sqlx::query(
            "UPDATE signup_request SET token_hash = $1, expires_at = $2, resends = resends + 1, last_resend_at = $3
             WHERE id = $4 AND status = 'PENDING_EMAIL' AND resends = $5",
        )
        .bind(token.hash())
        .bind(request.expires_at.as_microsecond())
        .bind(now.as_microsecond())
        .bind(request.id.to_string())
        .bind(i64::from(request.resends))
        .execute(&mut *work)
        .await?;
        // Two that ask at once get one link.
        if updated.rows_affected() == 0 {
            return Ok(());
        }
        self.send_link(&mut work, cx.ambient(), &request, &token).await?;
        Ok(work.commit(cx).await?)
    }
}
