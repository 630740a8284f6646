//! One-time tokens: what was mailed or handed to somebody, so that they can set a password.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use sdk::{
    mail::{Mail, Post},
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

/// A one-time token that was given. Who holds it sets the password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenAction {
    /// The invitation that the token was given with.
    pub invitation_id: Uuid,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// How it reaches the operator.
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// How a one-time token reaches its operator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "deliveryState", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Delivery {
    /// By a mail to their address, which waits to be sent. Nobody else is told the token.
    Queued {
        /// The mail.
        delivery_id: Uuid,
    },
    /// By whoever asked for it, who is told once.
    Manual {
        /// Where the console takes it, beneath the server's address. The token stands in the fragment, which no browser
        /// sends.
        path: Secret,
        /// The token.
        token: Secret,
    },
}

/// A one-time token that was just made.
pub(crate) struct Minted {
    invitation_id: Uuid,
    pub(crate) token: Secret,
    pub(crate) expires_at: Timestamp,
}

/// How a one-time token is to reach its operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryMethod {
    /// By mail.
    Mail,
    /// By whoever asks for it.
    Manual,
}

/// By what one-time tokens are mailed.
#[derive(Clone)]
pub struct Mailing {
    /// The way to people.
    pub post: Post,
    /// Whether somebody who invites does it by mail, as decided now. What the process itself invites to is not asked about.
    pub invites: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Mailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailing")
    }
}

/// How a one-time token is going to reach its operator.
pub(crate) enum Way<'i> {
    Mail(&'i Post, String),
    Hand,
}

/// The page of the console that takes a token.
pub const ACTIVATION_PAGE: &str = "/console/activate";

impl Identity {
    /// Gives a one-time token, in place of any that the operator had, and mails it with the same work: there is no token
    /// without its mail, and no mail without its token.
    pub(crate) async fn give_action(
        &self,
        work: &mut Work,
        cx: &Cx,
        to: &Account,
        purpose: Purpose,
        way: Way<'_>,
    ) -> Result<GivenAction, IdentityError> {
        let Minted { invitation_id, token, expires_at } = self.mint(work, cx, to, purpose).await?;
        let delivery = match way {
            Way::Mail(post, address) => {
                let mail = purpose.mail(post, address, &to.shown.name, &token, expires_at);
                Delivery::Queued { delivery_id: post.send(work, cx.ambient(), mail).await? }
            }
            Way::Hand => {
                let path = format!("{ACTIVATION_PAGE}#{}", token.expose()).into();
                Delivery::Manual { path, token }
            }
        };
        Ok(GivenAction { invitation_id, expires_at, delivery })
    }

    /// A one-time token, in place of any that the operator had.
    pub(crate) async fn mint(
        &self,
        work: &mut Work,
        cx: &Cx,
        to: &Account,
        purpose: Purpose,
    ) -> Result<Minted, IdentityError> {
        let (invitation_id, token) = (cx.uuid(), Secret::random(cx.ambient(), ""));
        let expires_at = cx.now().checked_add(self.settings.action_lifetime).unwrap_or(Timestamp::MAX);
        let expires_at = Timestamp::from_microsecond(expires_at.as_microsecond()).unwrap_or(expires_at);
        forget_actions(work, &to.id).await?;
        sqlx::query(
            "INSERT INTO identity_action (id, token_hash, operator, purpose, expires_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(invitation_id.to_string())
        .bind(token.hash())
        .bind(&to.id)
        .bind(purpose.as_str())
        .bind(expires_at.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(Minted { invitation_id, token, expires_at })
    }

    /// How a one-time token goes to somebody with this address. Where no method is stated, it is mailed if it can be.
    pub(crate) fn way(
        &self,
        cx: &Cx,
        purpose: Purpose,
        email: Option<&str>,
        method: Option<DeliveryMethod>,
    ) -> Result<Way<'_>, IdentityError> {
        let (mailing, email) = match (method, self.mailing.as_ref().zip(email)) {
            (Some(DeliveryMethod::Manual), _) | (None, None) => return Ok(Way::Hand),
            (Some(DeliveryMethod::Mail), None) => return Err(IdentityError::MailUnavailable),
            (_, Some(reached)) => reached,
        };
        let invited_by_somebody =
            purpose == Purpose::Activation && !matches!(cx.principal(), Principal::System);
        if invited_by_somebody && !(mailing.invites)() {
            return Err(IdentityError::InvitingDisabled);
        }
        Ok(Way::Mail(&mailing.post, email.to_owned()))
    }
}

impl Purpose {
    fn mail(self, post: &Post, to: String, name: &str, token: &Secret, until: Timestamp) -> Mail {
        macro_rules! text {
            ($file:literal) => {
                format!(
                    include_str!($file),
                    host = post.host(),
                    name = name,
                    link = post.link(ACTIVATION_PAGE, token.expose()),
                    until = until.strftime("%Y-%m-%d %H:%M UTC")
                )
            };
        }
        let (subject, text) = match self {
            Self::Activation => ("Set your password", text!("../mails/activation.txt")),
            Self::PasswordReset => ("Set another password", text!("../mails/password.txt")),
        };
        Mail { to, subject: subject.to_owned(), text: text.into(), until }
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
