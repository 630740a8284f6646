//! `setup.platform.bootstrap`

use identity::{
    ACTIVATION_PAGE, Delivery, DeliveryMethod, GivenAction, IdentityError, Role, Secret,
    actions::create::CreateAction,
    operators::{create::CreateOperator, disable::DisableOperator},
};
use jiff::Timestamp;
use sdk::{kernel::Fault, mail::link, prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{DeliveryState, LEASE, Setup, SetupError};

/// Invite the first administrator, who signs in by their e-mail address. A link lets them set a password: it is mailed to
/// them where that can be, and answered where not. Once they have set one, there is no setup any more. Of two that do this
/// at once, one does; another link is given once the one before has expired unused, or its mail was refused.
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
    /// How the link reaches them, when not as can be: `MAIL`, or `MANUAL` for whoever sets up to hand it on.
    #[serde(default)]
    pub delivery_method: Option<DeliveryMethod>,
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
    /// `QUEUED`: its mail waits to be sent. `MANUAL`: whoever set up hands the link on.
    pub delivery_state: DeliveryState,
    /// The link, told once, where it was not mailed. The token stands in its fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_activation_link: Option<Secret>,
}

impl Handle<Bootstrap> for Setup {
    async fn handle(&self, cx: &Cx, command: Bootstrap) -> Result<Bootstrapped, SetupError> {
        self.enter::<Bootstrap>(cx).await?;
        let Bootstrap { operator_email, operator_display_name, delivery_method } = command;
        let name = operator_email.trim().to_lowercase();
        let before = self.hold(cx, &name).await?;
        let wanted = CreateOperator {
            name: name.clone(),
            email: Some(operator_email),
            display_name: Some(operator_display_name),
            role: Role::PlatformAdmin,
            home: Some(self.facts.application),
            delivery_method,
        };
        let activation = match self.invite(cx, wanted).await {
            Ok(activation) => activation,
            Err(error) => {
                self.keep(cx, before.as_deref(), cx.now(), None).await?;
                return Err(error);
            }
        };
        let (mail, delivery_state, link) = match activation.delivery {
            Delivery::Queued { delivery_id } => (Some(delivery_id), DeliveryState::Queued, None),
            Delivery::Manual { path, token } => (None, DeliveryState::Manual, Some(self.link(path, &token))),
        };
        self.keep(cx, Some(&name), activation.expires_at, mail).await?;
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
                delivery_state,
                manual_activation_link: link,
            },
        })
    }
}

impl Setup {
    /// Keeps others from inviting an administrator for as long as it takes. Answers who was invited before, unused.
    async fn hold(&self, cx: &Cx, name: &str) -> Result<Option<String>, SetupError> {
        let now = cx.now();
        let lease = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        let before = self.invitation().await?;
        // A link that reached nobody keeps nobody out.
        let lost = match &before {
            Some(it) if self.delivery(it).await? == DeliveryState::DeliveryFailed => it.mail,
            _ => None,
        };
        let mut work = self.store.begin().await?;
        let held = sqlx::query(
            "UPDATE setup_gate SET administrator = $1, held_until = $2, mail = NULL
             WHERE id = 1 AND closed_at IS NULL AND (held_until <= $3 OR mail = $4)",
        )
        .bind(name)
        .bind(lease.as_microsecond())
        .bind(now.as_microsecond())
        .bind(lost.map(|mail| mail.to_string()))
        .execute(&mut *work)
        .await?;
        if held.rows_affected() == 0 {
            drop(work);
            return Err(SetupError::Invited(self.invitation().await?.map_or(now, |it| it.until)));
        }
        work.commit(cx).await?;
        Ok(before.map(|it| it.name))
    }

    /// Who is invited, until when nobody else is, and the mail that tells them.
    async fn keep(
        &self,
        cx: &Cx,
        name: Option<&str>,
        until: Timestamp,
        mail: Option<Uuid>,
    ) -> Result<(), SetupError> {
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE setup_gate SET administrator = $1, held_until = $2, mail = $3 WHERE id = 1")
            .bind(name)
            .bind(until.as_microsecond())
            .bind(mail.map(|mail| mail.to_string()))
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(())
    }

    /// Invites an administrator, or gives the one who was invited another token.
    async fn invite(&self, cx: &Cx, wanted: CreateOperator) -> Result<GivenAction, SetupError> {
        let delivery_method = wanted.delivery_method;
        match self.run(cx, wanted).await {
            Ok(invited) => Ok(invited.activation),
            Err(SetupError::Identity(Fault::Failed(IdentityError::NameTaken(name)))) => {
                self.run(cx, CreateAction { name, delivery_method }).await
            }
            Err(error) => Err(error),
        }
    }

    /// The whole link where the server's address is known, the path where not.
    fn link(&self, path: Secret, token: &Secret) -> Secret {
        let base = self.facts.public_url.as_ref();
        base.map_or(path, |base| link(base, ACTIVATION_PAGE, token.expose()).as_str().into())
    }
}
