//! `setup.platform.bootstrap`

use identity::{
    GivenAction, IdentityError, Role, Secret,
    actions::create::CreateAction,
    operators::{create::CreateOperator, disable::DisableOperator},
};
use jiff::Timestamp;
use sdk::{
    kernel::Fault,
    prelude::*,
    store::sqlx::{self, Row as _},
};
use uuid::Uuid;

use crate::{LEASE, Setup, SetupError};

/// Invite the first administrator, who signs in by their e-mail address. The link in the answer lets them set a password;
/// once they have, there is no setup any more. Of two that do this at once, one does; the other may once the link of the
/// first has expired unused.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("setup.platform.bootstrap", Setup -> Bootstrapped)]
#[access(public)]
#[license(none)]
#[http(POST "/api/platform/setup/v1/bootstrap")]
pub struct Bootstrap {
    /// The administrator's address.
    #[schemars(length(max = 254))]
    pub operator_email: String,
    /// Their name for people.
    #[schemars(length(min = 1, max = 200))]
    pub operator_display_name: String,
}

/// The platform has its tenant, and an administrator is invited.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrapped {
    /// The tenant of the platform itself.
    pub tenant_id: TenantId,
    /// Its status.
    pub status: String,
    /// What the administrator signs in with.
    pub operator_email: String,
    /// Whether there is a license under which tenants can be registered.
    pub can_create_production_tenants: bool,
    /// How the administrator sets a password.
    pub activation: Activation,
}

/// How the administrator sets a password.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activation {
    /// The invitation.
    pub invitation_id: Uuid,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// `MANUAL`: whoever set up hands the link on.
    pub delivery_state: String,
    /// The link, told once. The token stands in its fragment.
    pub manual_activation_link: Secret,
}

impl Handle<Bootstrap> for Setup {
    async fn handle(&self, cx: &Cx, command: Bootstrap) -> Result<Bootstrapped, SetupError> {
        self.enter::<Bootstrap>(cx).await?;
        let Bootstrap { operator_email, operator_display_name } = command;
        let name = operator_email.trim().to_lowercase();
        let before = self.hold(cx, &name).await?;
        let activation = match self.invite(cx, &name, operator_email, operator_display_name).await {
            Ok(activation) => activation,
            Err(error) => {
                self.release(cx, before).await?;
                return Err(error);
            }
        };
        self.keep_until(cx, activation.expires_at).await?;
        if let Some(before) = before.filter(|before| *before != name) {
            // Their link has expired unused, and another takes their place.
            let disabling = self.run(cx, DisableOperator { name: before }).await;
            if !matches!(
                disabling,
                Ok(_) | Err(SetupError::Identity(Fault::Failed(IdentityError::NoSuchOperator)))
            ) {
                disabling?;
            }
        }
        Ok(Bootstrapped {
            tenant_id: self.facts.application,
            status: "ACTIVE".to_owned(),
            operator_email: name,
            can_create_production_tenants: self.site.is_licensed(),
            activation: Activation {
                invitation_id: activation.invitation_id,
                expires_at: activation.expires_at,
                delivery_state: "MANUAL".to_owned(),
                manual_activation_link: self.link(&activation.path),
            },
        })
    }
}

impl Setup {
    /// Keeps others from inviting an administrator for as long as it takes. Answers who was invited before, unused.
    async fn hold(&self, cx: &Cx, name: &str) -> Result<Option<String>, SetupError> {
        let now = cx.now();
        let lease = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        let mut work = self.store.begin().await?;
        let row = sqlx::query("SELECT administrator, held_until FROM setup_gate WHERE id = 1")
            .fetch_one(&mut *work)
            .await?;
        let (before, until): (Option<String>, i64) =
            (row.try_get("administrator")?, row.try_get("held_until")?);
        let held = sqlx::query(
            "UPDATE setup_gate SET administrator = $1, held_until = $2
             WHERE id = 1 AND closed_at IS NULL AND held_until <= $3",
        )
        .bind(name)
        .bind(lease.as_microsecond())
        .bind(now.as_microsecond())
        .execute(&mut *work)
        .await?;
        if held.rows_affected() == 0 {
            return Err(SetupError::Invited(Timestamp::from_microsecond(until).unwrap_or(now)));
        }
        work.commit(cx).await?;
        Ok(before)
    }

    async fn release(&self, cx: &Cx, before: Option<String>) -> Result<(), SetupError> {
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE setup_gate SET administrator = $1, held_until = $2 WHERE id = 1")
            .bind(before)
            .bind(cx.now().as_microsecond())
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(())
    }

    async fn keep_until(&self, cx: &Cx, until: Timestamp) -> Result<(), SetupError> {
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE setup_gate SET held_until = $1 WHERE id = 1")
            .bind(until.as_microsecond())
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(())
    }

    /// Invites an administrator, or gives the one who was invited another token.
    async fn invite(
        &self,
        cx: &Cx,
        name: &str,
        email: String,
        display_name: String,
    ) -> Result<GivenAction, SetupError> {
        let wanted = CreateOperator {
            name: name.to_owned(),
            email: Some(email),
            display_name: Some(display_name),
            role: Role::PlatformAdmin,
            home: Some(self.facts.application),
        };
        match self.run(cx, wanted).await {
            Ok(invited) => Ok(invited.activation),
            Err(SetupError::Identity(Fault::Failed(IdentityError::NameTaken(name)))) => {
                self.run(cx, CreateAction { name }).await
            }
            Err(error) => Err(error),
        }
    }

    fn link(&self, path: &Secret) -> Secret {
        let at = self.facts.public_url.as_ref().and_then(|url| url.join(path.expose()).ok());
        at.map_or_else(|| path.clone(), |url| url.as_str().into())
    }
}
