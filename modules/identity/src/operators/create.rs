//! `identity.operators.create`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, OPERATORS_WRITE, Operator, OperatorStatus, Reach, Role,
    action::{GivenAction, Purpose},
    operator::{find, parse_display_name, parse_email, parse_name},
    told_once,
};

/// Invite an operator. The one-time token in the answer lets them set their password.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("identity.operators.create", Identity -> InvitedOperator)]
#[access(permission = OPERATORS_WRITE, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/operators")]
pub struct CreateOperator {
    /// What they will sign in with: letters, digits and `.`, `_`, `-`, `+`, `@`; capitals do not count.
    #[schemars(length(min = 1, max = 254))]
    pub name: String,
    /// Where messages for them go.
    #[serde(default)]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// Their name for people.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub display_name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// The tenant they belong to; the caller's own when not stated. Platform roles belong to the application tenant, tenant
    /// roles to another.
    #[serde(default)]
    pub home: Option<TenantId>,
}

/// An operator who was invited, with a token that is told once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitedOperator {
    /// The operator.
    pub operator: Operator,
    /// By what they set their password.
    pub activation: GivenAction,
}

impl Handle<CreateOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: CreateOperator) -> Result<InvitedOperator, IdentityError> {
        told_once(cx)?;
        let CreateOperator { name, email, display_name, role, home } = command;
        let name = parse_name(&name)?;
        let email = email.as_deref().map(parse_email).transpose()?;
        let display_name = display_name.as_deref().map(parse_display_name).transpose()?;
        let home = match (self.reach(cx)?, home) {
            (Reach::All, home) => home.unwrap_or(self.application),
            (Reach::Tenant(own), home) if home.is_none_or(|home| home == own) => own,
            (Reach::Tenant(_), _) => return Err(IdentityError::RoleOutOfPlace(role)),
        };
        if role.is_of_platform() != (home == self.application) {
            return Err(IdentityError::RoleOutOfPlace(role));
        }

        let (id, now) = (cx.uuid().to_string(), cx.now().as_microsecond());
        let mut work = self.store.begin().await?;
        let inserted = sqlx::query(
            "INSERT INTO identity_operator
                 (id, name, email, display_name, role, home, status, totp_step, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&id)
        .bind(&name)
        .bind(email)
        .bind(display_name)
        .bind(role.as_str())
        .bind(home.to_string())
        .bind(OperatorStatus::Invited.as_str())
        .bind(now)
        .bind(now)
        .execute(&mut *work)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(IdentityError::NameTaken(name));
        }
        let activation = self.give_action(&mut work, cx, &id, Purpose::Activation).await?;
        let account = find(&mut *work, &name).await?.ok_or(IdentityError::NoSuchOperator)?;
        work.commit(cx).await?;
        Ok(InvitedOperator { operator: account.shown, activation })
    }
}
