//! `signup.requests.request`

use jiff::Timestamp;
use sdk::prelude::*;
use uuid::Uuid;

use crate::{
    Confidential, DisplayName, Email, SELF_SIGNUP, Signup, SignupError, SignupStatus, Slug,
    request::{Marks, SignupRequest, insert},
    token::Token,
};

/// Ask for a tenant. The answer tells nothing of what exists.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.request", Signup -> SignupAccepted)]
#[access(public)]
#[license(features = [SELF_SIGNUP])]
#[http(POST "/api/platform/admin/v1/tenants/signup/request" => 202)]
pub struct RequestSignup {
    /// Where the link that confirms is sent.
    pub email: Email,
    /// The tenant's name in addresses.
    pub slug: Slug,
    /// The tenant's name for people.
    pub display_name: DisplayName,
    /// The tenant it will stand beneath; at the root when not stated.
    #[serde(default)]
    pub parent_tenant_id: Option<TenantId>,
    /// What the challenge service gave to whoever passed its challenge.
    #[serde(default)]
    pub challenge_proof: Option<Confidential>,
}

/// A request that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignupAccepted {
    /// The request.
    pub signup_request_id: Uuid,
    /// Until when its link works.
    pub expires_at: Timestamp,
    /// Whether somebody must approve once the address is confirmed.
    pub requires_approval: bool,
    /// What becomes of the mail.
    pub email_delivery: EmailDelivery,
}

/// What becomes of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailDelivery {
    /// How far it is.
    pub status: EmailDeliveryStatus,
}

/// How far a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EmailDeliveryStatus {
    /// It is in the outbox.
    Queued,
}

impl Handle<RequestSignup> for Signup {
    async fn handle(&self, cx: &Cx, command: RequestSignup) -> Result<SignupAccepted, SignupError> {
        let policy = self.policy(command.parent_tenant_id);
        if !policy.enabled {
            return Err(SignupError::Disabled);
        }
        self.can_send()?;
        // Before the challenge, which costs a call; and the address after it, so that nobody but a person can use up
        // what another person may ask.
        self.admit_source(cx, &policy).await?;
        self.challenge(command.challenge_proof.as_ref()).await?;

        let now = cx.now();
        let id = cx.uuid();
        let token = Token::mint(id, cx.ambient());
        let request = SignupRequest {
            id,
            email: command.email,
            slug: command.slug,
            display_name: command.display_name,
            parent: command.parent_tenant_id,
            status: SignupStatus::PendingEmail,
            token_hash: token.hash(),
            created_at: now,
            expires_at: now.saturating_add(policy.token_ttl).unwrap_or(Timestamp::MAX),
            resends: 0,
            last_resend_at: None,
            marks: Marks::default(),
        };
        let mut work = self.store.begin().await?;
        self.admit_email(&mut work, &request.email, &policy, now).await?;
        insert(&mut work, &request, self.source(cx)).await?;
        self.send_link(&mut work, cx.ambient(), &request, &token).await?;
        work.commit(cx).await?;
        Ok(SignupAccepted {
            signup_request_id: id,
            expires_at: request.expires_at,
            requires_approval: policy.require_approval,
            email_delivery: EmailDelivery { status: EmailDeliveryStatus::Queued },
        })
    }
}
