//! `identity.actions.create`

use sdk::prelude::*;

use crate::{
    DeliveryMethod, Identity, IdentityError, OPERATORS_WRITE,
    action::{GivenAction, Purpose},
    operator::{OperatorStatus, find, normalized},
    told_once,
};

/// Give an operator a one-time token to set a password with, in place of any given before: the first one, or another.
/// Their present password stays good until it is used. It is mailed to them where that can be, and answered where not.
/// While the onboarding policy lets nobody be invited by mail, the first one is not mailed either, but refused.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("identity.actions.create", Identity -> GivenAction)]
#[access(permission = OPERATORS_WRITE, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/operators/{name}/actions")]
pub struct CreateAction {
    /// The operator's name.
    pub name: String,
    /// How the token reaches them, when not as can be: `MAIL`, or `MANUAL` for whoever asks to hand it on.
    #[serde(default)]
    pub delivery_method: Option<DeliveryMethod>,
}

impl Handle<CreateAction> for Identity {
    async fn handle(&self, cx: &Cx, command: CreateAction) -> Result<GivenAction, IdentityError> {
        told_once(cx)?;
        let reach = self.reach(cx)?;
        let mut work = self.store.begin().await?;
        let account = find(&mut *work, &normalized(&command.name)).await?;
        let account = account
            .filter(|account| reach.covers(account.shown.home))
            .ok_or(IdentityError::NoSuchOperator)?;
        let purpose = match account.shown.status {
            OperatorStatus::Invited => Purpose::Activation,
            OperatorStatus::Active => Purpose::PasswordReset,
            OperatorStatus::Disabled => return Err(IdentityError::WrongStatus(OperatorStatus::Disabled)),
        };
        let way = self.way(cx, purpose, account.shown.email.as_deref(), command.delivery_method)?;
        let given = self.give_action(&mut work, cx, &account, purpose, way).await?;
        work.commit(cx).await?;
        Ok(given)
    }
}
