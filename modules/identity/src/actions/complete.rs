//! `identity.actions.complete`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, OperatorStatus, Secret,
    action::{self, forget_actions},
    passwords::objection,
};

/// Set a password with a one-time token. Every session of the operator ends; a second factor stays.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.actions.complete", Identity -> CompletedAction)]
#[access(public)]
#[license(none)]
#[http(POST "/api/account-actions/v1/complete")]
pub struct CompleteAction {
    /// The token.
    pub token: Secret,
    /// The password from now on: 12 characters at least.
    pub password: Secret,
}

/// What was done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompletedAction {
    /// The operator whose password it is.
    pub outcome_ref: String,
}

impl Handle<CompleteAction> for Identity {
    async fn handle(&self, cx: &Cx, command: CompleteAction) -> Result<CompletedAction, IdentityError> {
        self.admit_address(cx).await?;
        let known = action::find(self.store.reader(), &command.token, cx.now()).await?;
        let (name, email) = (&known.account.shown.name, known.account.shown.email.as_deref());
        cx.recognize(&known.account.actor());
        if let Some(objection) = objection(&command.password, name, email) {
            return Err(IdentityError::WeakPassword(objection));
        }
        let hash = self.passwords.hash(cx.ambient(), command.password).await?;

        let mut work = self.store.begin().await?;
        // Whoever takes the token away has it; of two that race, the other finds none.
        let taken = sqlx::query("DELETE FROM identity_action WHERE token_hash = $1 AND expires_at > $2")
            .bind(command.token.hash())
            .bind(cx.now().as_microsecond())
            .execute(&mut *work)
            .await?;
        let set = sqlx::query(
            "UPDATE identity_operator SET password_hash = $1, status = $2, updated_at = $3
             WHERE id = $4 AND status = $5",
        )
        .bind(hash)
        .bind(OperatorStatus::Active.as_str())
        .bind(cx.now().as_microsecond())
        .bind(&known.account.id)
        .bind(known.purpose.status().as_str())
        .execute(&mut *work)
        .await?;
        if taken.rows_affected() == 0 || set.rows_affected() == 0 {
            return Err(IdentityError::NoSuchAction);
        }
        self.end_sessions(&mut work, &known.account).await?;
        forget_actions(&mut work, &known.account.id).await?;
        work.commit(cx).await?;
        self.acquit(name).await?;
        Ok(CompletedAction { outcome_ref: known.account.actor() })
    }
}
