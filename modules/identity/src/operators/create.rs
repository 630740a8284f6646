//! `identity.operators.create`

use sdk::prelude::*;

use crate::{
    DeliveryMethod, Identity, IdentityError, OPERATORS_WRITE, Operator, Reach, Role,
    action::{GivenAction, Purpose},
    operator::{NewOperator, insert, parse_display_name, parse_email, parse_name},
    told_once,
};

/// Invite an operator. A one-time token lets them set their password: it is mailed to them where that can be, and answered
/// where not. While the onboarding policy lets nobody be invited by mail, an invitation that would be mailed is refused.
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
    /// roles to another, which must be there and may act.
    #[serde(default)]
    pub home: Option<TenantId>,
    /// How the token reaches them, when not as can be: `MAIL`, or `MANUAL` for whoever asks to hand it on.
    #[serde(default)]
    pub delivery_method: Option<DeliveryMethod>,
}

/// An operator who was invited, with their one-time token.
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
        let CreateOperator { name, email, display_name, role, home, delivery_method } = command;
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
        if !self.is_home(home).await? {
            return Err(IdentityError::NoSuchTenant(home));
        }
        let way = self.way(cx, Purpose::Activation, email.as_deref(), delivery_method)?;

        let mut work = self.store.begin().await?;
        let wanted = NewOperator { name: &name, email, display_name, role, home };
        let account = insert(&mut work, cx, wanted).await?.ok_or(IdentityError::NameTaken(name))?;
        let activation = self.give_action(&mut work, cx, &account, Purpose::Activation, way).await?;
        work.commit(cx).await?;
        Ok(InvitedOperator { operator: account.shown, activation })
    }
}
