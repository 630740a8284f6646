use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _},
};
use uuid::Uuid;

use crate::{Setup, SetupError};

/// How far the invited administrator has come. Once they have set a password, nobody is told any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorActivation {
    /// Whether their link is good.
    pub status: ActivationStatus,
    /// Until when it is, or was.
    pub expires_at: Timestamp,
    /// How it reached them.
    pub delivery_state: DeliveryState,
}

/// Whether the administrator's link is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ActivationStatus {
    /// It is, and was not used.
    Pending,
    /// It was not used in time: whoever sets up invites again.
    Expired,
}

/// How a link reaches the administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryState {
    /// Its mail waits to be sent.
    Queued,
    /// The mail server took it.
    Delivered,
    /// The mail server refused it for good: whoever sets up invites again.
    DeliveryFailed,
    /// Whoever set up hands it on.
    Manual,
}

/// Who was invited last, as the gate has it.
pub(crate) struct Invitation {
    pub(crate) name: String,
    pub(crate) until: Timestamp,
    pub(crate) mail: Option<Uuid>,
}

impl Setup {
    /// Who was invited last, if anybody was.
    pub(crate) async fn invitation(&self) -> Result<Option<Invitation>, SetupError> {
        let row = sqlx::query("SELECT administrator, held_until, mail FROM setup_gate WHERE id = 1")
            .fetch_one(self.store.reader())
            .await?;
        let Some(name) = row.try_get("administrator")? else { return Ok(None) };
        let until = Timestamp::from_microsecond(row.try_get("held_until")?).unwrap_or(Timestamp::MAX);
        let mail = row.try_get::<Option<String>, _>("mail")?.and_then(|mail| mail.parse().ok());
        Ok(Some(Invitation { name, until, mail }))
    }

    /// What became of the link.
    pub(crate) async fn delivery(&self, invitation: &Invitation) -> Result<DeliveryState, SetupError> {
        match invitation.mail {
            Some(mail) => Ok(self.site.delivery(mail).await?),
            None => Ok(DeliveryState::Manual),
        }
    }
}
