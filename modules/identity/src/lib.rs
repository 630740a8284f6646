//! Operators, and how they show who they are: passwords, second factors, sessions, tokens.
//!
//! Tokens are 256 random bits, of which the database holds the SHA-256; passwords are kept as Argon2id. Whoever loses one
//! gets another.
//!
//! **Invariant: who may not sign in learns nothing.** An unknown name, a wrong password and a wrong code have one answer
//! and cost the same work; attempts are counted before they are looked at, by all replicas together.

pub mod actions;
pub mod operators;
pub mod password;
pub mod sessions;
pub mod tokens;
pub mod totp;

mod action;
mod administrator;
mod codes;
mod homes;
mod operator;
mod passwords;
mod role;
mod secret;
mod session;
mod settings;
mod strength;
mod throttle;
mod token;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sdk::{
    prelude::*,
    secrets::Keeping,
    store::sqlx::{self, Row, any::AnyRow},
};

use crate::{
    homes::Known,
    passwords::{Busy, Passwords},
};

pub use action::{ACTIVATION_PAGE, Delivery, DeliveryMethod, GivenAction, Mailing, Purpose};
pub use administrator::InvitedAdministrator;
pub use homes::Homes;
pub use operator::{Operator, OperatorStatus};
pub use passwords::PasswordParametersError;
pub use role::{Permissions, Role};
pub use secret::{MAX_SECRET_BYTES, Secret};
pub use session::{SignedIn, csrf_token};
pub use settings::{Allowance, PasswordSettings, SessionSettings, Settings, ThrottleSettings};
pub use strength::{MIN_PASSWORD_CHARACTERS, Objection};

/// See operators.
pub const OPERATORS_READ: Permission = Permission::new("operators.read");
/// Invite, change and disable operators.
pub const OPERATORS_WRITE: Permission = Permission::new("operators.write");

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_122_000_300,
    name: "operators",
    sql: include_str!("../migrations/20261122_000300_operators.sql"),
}];

/// The module.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
    permissions: Permissions,
    application: TenantId,
    homes: Known,
    settings: Arc<Settings>,
    passwords: Passwords,
    keeping: Keeping,
    mailing: Option<Mailing>,
}

/// By what a caller shows who they are.
#[derive(Clone, Copy)]
pub enum Credential<'c> {
    /// A token that was made for a script.
    Token(&'c str),
    /// The token of a session.
    Session(&'c str),
}

impl Module for Identity {
    const NAME: &'static str = "identity";
    const PRODUCT: &'static str = "chancery";
    type Error = IdentityError;
}

/// Why an operation on operators failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An operator has this name.
    #[error("an operator named `{0}` exists")]
    NameTaken(String),
    /// The name is none.
    #[error("a name is 1 to 254 letters, digits and `.`, `_`, `-`, `+`, `@`")]
    InvalidName,
    /// The address is none.
    #[error("the e-mail address has not the form `name@domain`")]
    InvalidEmail,
    /// The name for people is none.
    #[error("a name for people has 1 to 200 characters, all of them visible")]
    InvalidDisplayName,
    /// Platform roles belong to the application tenant, tenant roles to another.
    #[error("an operator of role `{0}` does not belong to this tenant")]
    RoleOutOfPlace(Role),
    /// Operators belong to a tenant that is there, and may act.
    #[error("there is no tenant `{0}` that may act")]
    NoSuchTenant(TenantId),
    /// The caller is no operator.
    #[error("the caller is not an operator")]
    NotAnOperator,
    /// There is no such operator within the caller's reach.
    #[error("there is no such operator")]
    NoSuchOperator,
    /// Someone must be left to run the platform.
    #[error("the last active platform administrator stays")]
    LastAdministrator,
    /// Unknown name, wrong password or wrong code: which of them is not said.
    #[error("the name, the password or the code is wrong")]
    InvalidCredentials,
    /// The password was right, and a code of the second factor is missing.
    #[error("a code of the second factor is needed")]
    SecondFactorRequired,
    /// Too many attempts.
    #[error("too many attempts")]
    TooManyAttempts {
        /// When there is one more.
        retry_after: Duration,
    },
    /// Too many passwords are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// The password is not taken.
    #[error(transparent)]
    WeakPassword(#[from] Objection),
    /// The present password is another.
    #[error("the present password is another")]
    WrongPassword,
    /// The code is wrong, or was used.
    #[error("the code is wrong, or was used")]
    WrongCode,
    /// There is a second factor.
    #[error("a second factor is set up; remove it first")]
    SecondFactorExists,
    /// There is no second factor, or none to be confirmed.
    #[error("no second factor is set up")]
    NoSecondFactor,
    /// Only within a session.
    #[error("this is done in a session, not with a token")]
    SessionRequired,
    /// There is no such session of the caller.
    #[error("there is no such session")]
    NoSuchSession,
    /// There is no such token of the caller.
    #[error("there is no such token")]
    NoSuchToken,
    /// The name of a token is none.
    #[error("the name of a token has 1 to 100 characters, all of them visible")]
    InvalidTokenName,
    /// The token was never given, was used, or has expired: which of them is not said.
    #[error("the token is not known, or no longer good")]
    NoSuchAction,
    /// What is asked for does not fit the operator's status.
    #[error("the operator is {}", .0.as_str())]
    WrongStatus(OperatorStatus),
    /// No mail can be sent from here, or not to this operator.
    #[error("no mail can be sent to this operator from here")]
    MailUnavailable,
    /// Nobody is invited by mail, as the onboarding policy has it.
    #[error("the onboarding policy lets nobody be invited by mail; the link can be handed on instead")]
    InvitingDisabled,
    /// The answer would be kept under the key.
    #[error("what this answers is told once, so it takes no idempotency key")]
    ToldOnce,
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for IdentityError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Busy> for IdentityError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl Problem for IdentityError {
    fn code(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "name_taken",
            Self::InvalidName => "invalid_name",
            Self::InvalidEmail => "invalid_email",
            Self::InvalidDisplayName => "invalid_display_name",
            Self::RoleOutOfPlace(_) => "role_out_of_place",
            Self::NoSuchTenant(_) => "unknown_tenant",
            Self::NotAnOperator => "not_an_operator",
            Self::NoSuchOperator => "unknown_operator",
            Self::LastAdministrator => "last_administrator",
            Self::InvalidCredentials => "invalid_credentials",
            Self::SecondFactorRequired => "second_factor_required",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Busy => "busy",
            Self::WeakPassword(objection) => objection.code(),
            Self::WrongPassword => "wrong_password",
            Self::WrongCode => "wrong_code",
            Self::SecondFactorExists => "second_factor_exists",
            Self::NoSecondFactor => "no_second_factor",
            Self::SessionRequired => "session_required",
            Self::NoSuchSession => "unknown_session",
            Self::NoSuchToken | Self::NoSuchAction => "unknown_token",
            Self::InvalidTokenName => "invalid_token_name",
            Self::WrongStatus(_) => "wrong_status",
            Self::MailUnavailable => "mail_unavailable",
            Self::InvitingDisabled => "config_disabled_admin_invite",
            Self::ToldOnce => "idempotency_key_not_taken",
            Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::InvalidName
            | Self::InvalidEmail
            | Self::InvalidDisplayName
            | Self::InvalidTokenName
            | Self::RoleOutOfPlace(_)
            | Self::WeakPassword(_)
            | Self::ToldOnce => Category::Validation,
            Self::InvalidCredentials | Self::SecondFactorRequired => Category::Unauthorized,
            Self::NotAnOperator
            | Self::WrongPassword
            | Self::WrongCode
            | Self::SessionRequired
            | Self::InvitingDisabled => Category::Forbidden,
            Self::NoSuchOperator
            | Self::NoSuchTenant(_)
            | Self::NoSuchSession
            | Self::NoSuchToken
            | Self::NoSuchAction => Category::NotFound,
            Self::NameTaken(_)
            | Self::LastAdministrator
            | Self::SecondFactorExists
            | Self::NoSecondFactor
            | Self::WrongStatus(_)
            | Self::MailUnavailable => Category::Conflict,
            Self::TooManyAttempts { .. } => Category::RateLimited,
            Self::Busy => Category::Unavailable,
            Self::Store(_) => Category::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry_after } => Some(*retry_after),
            Self::Busy => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl Identity {
    /// Over this database. Roles are made of the permissions that the program's commands ask for; operators of the platform
    /// belong to the application tenant, others to the homes; what must be read again is kept so.
    pub fn new(
        store: Store,
        application: TenantId,
        homes: Arc<dyn Homes>,
        permissions: Permissions,
        settings: Settings,
        keeping: Keeping,
    ) -> Result<Self, PasswordParametersError> {
        let passwords = Passwords::of(settings.password)?;
        let settings = Arc::new(settings);
        Ok(Self {
            store,
            permissions,
            application,
            homes: Known(homes),
            settings,
            passwords,
            keeping,
            mailing: None,
        })
    }

    /// With a way to send mail, or without: then whoever asks for a one-time token hands it on.
    #[must_use]
    pub fn with_mailing(self, mailing: Option<Mailing>) -> Self {
        Self { mailing, ..self }
    }

    /// The principal that a credential belongs to. One that nobody holds is no error.
    pub async fn authenticate(
        &self,
        ambient: &Ambient,
        credential: Credential<'_>,
    ) -> Result<Option<Principal>, IdentityError> {
        match credential {
            Credential::Token(token) => self.of_token(ambient, token).await,
            Credential::Session(token) => self.of_session(ambient, token).await,
        }
    }

    /// Whether some administrator of the platform has ever set a password. Once so, it stays so.
    pub async fn is_administered(&self) -> Result<bool, IdentityError> {
        let row = sqlx::query(
            "SELECT CAST(count(*) AS BIGINT) AS administrators FROM identity_operator
             WHERE role = $1 AND password_hash IS NOT NULL",
        )
        .bind(Role::PlatformAdmin.as_str())
        .fetch_one(self.store.reader())
        .await?;
        Ok(row.try_get::<i64, _>("administrators")? > 0)
    }

    /// Forgets sessions, tokens and attempts that do not count any more.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<(), IdentityError> {
        let mut work = self.store.begin_relaxed().await?;
        for statement in [
            "DELETE FROM identity_session WHERE expires_at <= $1",
            "DELETE FROM identity_token WHERE expires_at <= $1",
            "DELETE FROM identity_action WHERE expires_at <= $1",
            "DELETE FROM identity_throttle WHERE free_at <= $1",
        ] {
            sqlx::query(statement).bind(now.as_microsecond()).execute(&mut *work).await?;
        }
        work.commit(Cause::Upkeep).await?;
        Ok(())
    }

    /// Whose operators the caller may see and change: those of one tenant, or everybody.
    fn reach(&self, cx: &Cx) -> Result<Reach, IdentityError> {
        match cx.principal() {
            Principal::System => Ok(Reach::All),
            Principal::Authenticated(who) => match who.home {
                Some(home) if home == self.application => Ok(Reach::All),
                Some(home) => Ok(Reach::Tenant(home)),
                None => Err(IdentityError::NotAnOperator),
            },
            Principal::Anonymous => Err(IdentityError::NotAnOperator),
        }
    }
}

/// Whose operators a caller may see and change.
#[derive(Clone, Copy)]
enum Reach {
    All,
    Tenant(TenantId),
}

impl Reach {
    fn covers(self, home: TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(own) => own == home,
        }
    }
}

/// Refuses a call whose answer would be kept, secrets and all, for its repetition.
fn told_once(cx: &Cx) -> Result<(), IdentityError> {
    if cx.idempotency_key().is_some() { Err(IdentityError::ToldOnce) } else { Ok(()) }
}

fn decoded<T: std::str::FromStr>(row: &AnyRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<String, _>(column)?
        .parse()
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
