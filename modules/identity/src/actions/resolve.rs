//! `identity.actions.resolve`

use jiff::Timestamp;
use sdk::prelude::*;
use uuid::Uuid;

use crate::{Identity, IdentityError, Purpose, Secret, action};

/// Show what a one-time token is for. It stays good.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.actions.resolve", Identity -> ResolvedAction)]
#[access(public)]
#[license(none)]
#[http(POST "/api/account-actions/v1/resolve")]
pub struct ResolveAction {
    /// The token.
    pub token: Secret,
}

/// What a one-time token is for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedAction {
    /// The invitation that the token was given with.
    pub invitation_id: Uuid,
    /// What it does.
    pub action: Purpose,
    /// The operator it does it for.
    pub name: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Whether a password goes with it.
    pub requires_password: bool,
}

impl Handle<ResolveAction> for Identity {
    async fn handle(&self, cx: &Cx, command: ResolveAction) -> Result<ResolvedAction, IdentityError> {
        self.admit_address(cx).await?;
        let action = action::find(self.store.reader(), &command.token, cx.now()).await?;
        Ok(ResolvedAction {
            invitation_id: action.id,
            action: action.purpose,
            name: action.account.shown.name,
            expires_at: action.expires_at,
            requires_password: true,
        })
    }
}
