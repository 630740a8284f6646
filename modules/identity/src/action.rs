//! One-time tokens: what was mailed or handed to somebody, so that they can set a password.

use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Any, Executor},
    },
};
use uuid::Uuid;

use crate::{
    Identity, IdentityError, Secret, decoded,
    operator::{Account, OperatorStatus, instant},
};

/// What a one-time token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Purpose {
    /// The first password of somebody who was invited.
    #[serde(rename = "identity.activation")]
    Activation,
    /// Another password for somebody who lost theirs.
    #[serde(rename = "identity.password-change")]
    PasswordReset,
}

impl Purpose {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activation => "identity.activation",
            Self::PasswordReset => "identity.password-change",
        }
    }

    /// Whom it is for.
    pub(crate) const fn status(self) -> OperatorStatus {
        match self {
            Self::Activation => OperatorStatus::Invited,
            Self::PasswordReset => OperatorStatus::Active,
        }
    }
}

/// The text is no purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the purpose of a token")]
pub struct UnknownPurpose(String);

impl std::str::FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        [Self::Activation, Self::PasswordReset]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or_else(|| UnknownPurpose(text.to_owned()))
    }
}

/// A one-time token that was given and not used.
pub(crate) struct Action {
    pub(crate) id: Uuid,
    pub(crate) purpose: Purpose,
    pub(crate) expires_at: Timestamp,
    pub(crate) account: Account,
}

/// A one-time token, told once. Who holds it sets the password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenAction {
    /// The invitation that the token was given with.
    pub invitation_id: Uuid,
    /// Where the console takes it, beneath the server's address. The token stands in the fragment, which no browser sends.
    pub path: Secret,
    /// The token.
    pub token: Secret,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Identity {
    /// Gives a one-time token, in place of any that the operator had.
    pub(crate) async fn give_action(
        &self,
        work: &mut Work,
        cx: &Cx,
        operator: &str,
        purpose: Purpose,
    ) -> Result<GivenAction, IdentityError> {
        let (invitation_id, token) = (cx.uuid(), Secret::random(cx.ambient(), ""));
        let expires_at = cx.now().checked_add(self.settings.action_lifetime).unwrap_or(Timestamp::MAX);
        let expires_at = Timestamp::from_microsecond(expires_at.as_microsecond()).unwrap_or(expires_at);
        forget_actions(work, operator).await?;
        sqlx::query(
            "INSERT INTO identity_action (id, token_hash, operator, purpose, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(invitation_id.to_string())
        .bind(token.hash())
        .bind(operator)
        .bind(purpose.as_str())
        .bind(expires_at.as_microsecond())
        .execute(&mut **work)
        .await?;
        let path = format!("/console/activate#{}", token.expose()).into();
        Ok(GivenAction { invitation_id, path, token, expires_at })
    }
}

pub(crate) async fn forget_actions(work: &mut Work, operator: &str) -> Result<(), IdentityError> {
    sqlx::query("DELETE FROM identity_action WHERE operator = $1")
        .bind(operator)
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// What a token is good for. It is not, once its operator is not in the state it was given for.
pub(crate) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    token: &Secret,
    now: Timestamp,
) -> Result<Action, IdentityError> {
    let row = sqlx::query(
        "SELECT o.*, a.id AS action, a.purpose, a.expires_at
         FROM identity_action a JOIN identity_operator o ON o.id = a.operator
         WHERE a.token_hash = $1 AND a.expires_at > $2",
    )
    .bind(token.hash())
    .bind(now.as_microsecond())
    .fetch_optional(executor)
    .await?;
    let row = row.ok_or(IdentityError::NoSuchAction)?;
    let action = Action {
        id: decoded(&row, "action")?,
        purpose: decoded(&row, "purpose")?,
        expires_at: instant(&row, "expires_at")?,
        account: Account::read(&row)?,
    };
    if action.account.shown.status == action.purpose.status() {
        Ok(action)
    } else {
        Err(IdentityError::NoSuchAction)
    }
}
