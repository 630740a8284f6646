//! `identity.operators.disable`

use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Row as _},
    },
};

use crate::{
    Identity, IdentityError, OPERATORS_WRITE, Operator, OperatorStatus, Role,
    action::forget_actions,
    operator::{Account, find, normalized},
};

/// Let an operator in no more: their sessions end, and their tokens are not good while they are disabled.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.operators.disable", Identity -> Operator)]
#[access(permission = OPERATORS_WRITE, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/operators/{name}/disable")]
pub struct DisableOperator {
    /// The operator's name.
    pub name: String,
}

impl Handle<DisableOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: DisableOperator) -> Result<Operator, IdentityError> {
        let reach = self.reach(cx)?;
        let name = normalized(&command.name);
        let mut work = self.store.begin().await?;
        self.hold_administrators(&mut work).await?;
        let account = find(&mut *work, &name).await?.filter(|account| reach.covers(account.shown.home));
        let account = account.ok_or(IdentityError::NoSuchOperator)?;
        self.spare_last_administrator(&mut work, &account).await?;
        sqlx::query("UPDATE identity_operator SET status = $1, updated_at = $2 WHERE id = $3")
            .bind(OperatorStatus::Disabled.as_str())
            .bind(cx.now().as_microsecond())
            .bind(&account.id)
            .execute(&mut *work)
            .await?;
        self.end_sessions(&mut work, &account).await?;
        forget_actions(&mut work, &account.id).await?;
        work.commit(cx).await?;
        Ok(Operator { status: OperatorStatus::Disabled, ..account.shown })
    }
}

impl Identity {
    /// Lets one change of administrators happen after the other.
    pub(crate) async fn hold_administrators(&self, work: &mut Work) -> Result<(), IdentityError> {
        sqlx::query("UPDATE identity_operator SET role = role WHERE role = $1")
            .bind(Role::PlatformAdmin.as_str())
            .execute(&mut **work)
            .await?;
        Ok(())
    }

    /// Refuses to do without the last active administrator of the platform.
    pub(crate) async fn spare_last_administrator(
        &self,
        work: &mut Work,
        account: &Account,
    ) -> Result<(), IdentityError> {
        let shown = &account.shown;
        if shown.role != Role::PlatformAdmin || shown.status != OperatorStatus::Active {
            return Ok(());
        }
        let row = sqlx::query(
            "SELECT CAST(count(*) AS BIGINT) AS others FROM identity_operator
             WHERE role = $1 AND status = $2 AND id <> $3",
        )
        .bind(Role::PlatformAdmin.as_str())
        .bind(OperatorStatus::Active.as_str())
        .bind(&account.id)
        .fetch_one(&mut **work)
        .await?;
        if row.try_get::<i64, _>("others")? == 0 { Err(IdentityError::LastAdministrator) } else { Ok(()) }
    }
}
