//! `identity.operators.update`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, OPERATORS_WRITE, Operator, Role, codes,
    operator::{find, normalized, parse_display_name, parse_email},
};

/// Change what is known of an operator. What is not stated stays. With another role, or without the second factor, every
/// session of theirs ends.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("identity.operators.update", Identity -> Operator)]
#[access(permission = OPERATORS_WRITE, max_age = "15m")]
#[license(none)]
#[http(PATCH "/api/identity/v1/operators/{name}")]
pub struct UpdateOperator {
    /// The operator's name, which stays.
    pub name: String,
    /// Where messages for them go.
    #[serde(default)]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// Their name for people.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub display_name: Option<String>,
    /// What they may do, among the roles of their tenant.
    #[serde(default)]
    pub role: Option<Role>,
    /// Whether their second factor is taken away, because their app is lost and so are the recovery codes.
    #[serde(default)]
    pub remove_second_factor: bool,
}

impl Handle<UpdateOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: UpdateOperator) -> Result<Operator, IdentityError> {
        let UpdateOperator { name, email, display_name, role, remove_second_factor } = command;
        let email = email.as_deref().map(parse_email).transpose()?;
        let display_name = display_name.as_deref().map(parse_display_name).transpose()?;
        let reach = self.reach(cx)?;
        let name = normalized(&name);
        let mut work = self.store.begin().await?;
        self.hold_administrators(&mut work).await?;
        let account = find(&mut *work, &name).await?.filter(|account| reach.covers(account.shown.home));
        let account = account.ok_or(IdentityError::NoSuchOperator)?;
        let role = role.unwrap_or(account.shown.role);
        if role.is_of_platform() != (account.shown.home == self.application) {
            return Err(IdentityError::RoleOutOfPlace(role));
        }
        if role != account.shown.role {
            self.spare_last_administrator(&mut work, &account).await?;
        }
        sqlx::query(
            "UPDATE identity_operator SET email = $1, display_name = $2, role = $3, updated_at = $4 WHERE id = $5",
        )
        .bind(email.or(account.shown.email.clone()))
        .bind(display_name.or(account.shown.display_name.clone()))
        .bind(role.as_str())
        .bind(cx.now().as_microsecond())
        .bind(&account.id)
        .execute(&mut *work)
        .await?;
        if remove_second_factor {
            codes::forget_second_factor(&mut work, &account.id, cx.now()).await?;
        }
        if remove_second_factor || role != account.shown.role {
            self.end_sessions(&mut work, &account).await?;
        }
        let account = find(&mut *work, &name).await?.ok_or(IdentityError::NoSuchOperator)?;
        work.commit(cx).await?;
        Ok(account.shown)
    }
}
