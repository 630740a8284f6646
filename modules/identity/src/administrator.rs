use jiff::Timestamp;
use sdk::{prelude::*, store::Work};

use crate::{
    Identity, IdentityError, Purpose, Role, Secret,
    operator::{NewOperator, insert, parse_email, parse_name},
};

/// The administrator of a new tenant, who has set no password yet.
#[derive(Debug)]
pub struct InvitedAdministrator {
    /// What they will sign in with.
    pub name: String,
    /// By what they set their password, at [`ACTIVATION_PAGE`](crate::ACTIVATION_PAGE).
    pub token: Secret,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Invites whoever signed up as the administrator of their tenant, with the work that says that it is registered: the
    /// token is for whoever calls to mail with the same work, to an address that was shown to be theirs. They sign in by
    /// that address. Where it is an operator's name already, or cannot be one, they get a name of their own.
    pub async fn invite_administrator(
        &self,
        work: &mut Work,
        cx: &Cx,
        tenant: TenantId,
        slug: &str,
        email: &str,
    ) -> Result<InvitedAdministrator, IdentityError> {
        let own = format!("{slug}-{}", hex::encode(cx.ambient().bytes::<4>()));
        let email = parse_email(email)?;
        let mut invited = None;
        for name in parse_name(&email).ok().as_deref().into_iter().chain([own.as_str()]) {
            let wanted = NewOperator {
                name,
                email: Some(email.clone()),
                display_name: None,
                role: Role::TenantAdmin,
                home: tenant,
            };
            invited = insert(work, cx, wanted).await?;
            if invited.is_some() {
                break;
            }
        }
        let account = invited.ok_or(IdentityError::NameTaken(own))?;
        let minted = self.mint(work, cx, &account, Purpose::Activation).await?;
        Ok(InvitedAdministrator {
            name: account.shown.name,
            token: minted.token,
            expires_at: minted.expires_at,
        })
    }
}
