//! `identity.operators.enable`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, OPERATORS_WRITE, Operator, OperatorStatus,
    operator::{find, normalized},
};

/// Let a disabled operator in again. Who never set a password is invited again: give them a token for it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.operators.enable", Identity -> Operator)]
#[access(permission = OPERATORS_WRITE, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/operators/{name}/enable")]
pub struct EnableOperator {
    /// The operator's name.
    pub name: String,
}

impl Handle<EnableOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: EnableOperator) -> Result<Operator, IdentityError> {
        let reach = self.reach(cx)?;
        let name = normalized(&command.name);
        let mut work = self.store.begin().await?;
        let account = find(&mut *work, &name).await?.filter(|account| reach.covers(account.shown.home));
        let account = account.ok_or(IdentityError::NoSuchOperator)?;
        if account.shown.status != OperatorStatus::Disabled {
            return Err(IdentityError::WrongStatus(account.shown.status));
        }
        let has_password = account.password_hash.is_some();
        let status = if has_password { OperatorStatus::Active } else { OperatorStatus::Invited };
        sqlx::query("UPDATE identity_operator SET status = $1, updated_at = $2 WHERE id = $3")
            .bind(status.as_str())
            .bind(cx.now().as_microsecond())
            .bind(&account.id)
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(Operator { status, ..account.shown })
    }
}
