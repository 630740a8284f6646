//! Registration by whoever wants a tenant (semantics 7.5 to 7.7).
//!
//! Somebody asks, shows by a link in a mail that the address is theirs, is approved where that is required, and has a
//! tenant. The tenant itself is registered by `tenancy.tenants.register`, called over the bus by the process itself, so
//! the onboarding policy and the quotas of tenants are asked as for any other registration. Whoever asked is invited as its
//! administrator by the unit of work that says it is registered.
//!
//! **Invariant: asking tells nothing.** The answer to a request, and what is done for it, depend on nothing that exists:
//! whether the slug or the address is known shows only to whoever has confirmed the address.
//!
//! **Invariant: without a challenge verifier nobody can ask.** There is no default one.
//!
//! **Invariant: the database holds no token and no network address.** Tokens are kept as SHA-256, addresses under a key
//! that is not in the database.

pub mod requests;

mod challenge;
mod limit;
mod mailer;
mod policy;
mod registration;
mod request;
mod siteverify;
mod token;
mod upkeep;
mod wanted;

use std::{fmt, sync::Arc, time::Duration};

use identity::{Identity, IdentityError};
use sdk::{mail::Post, prelude::*, store::sqlx};
use secrecy::SecretString;

pub use challenge::{ChallengeError, VerifyChallenge};
pub use policy::{Decided, Policy, Settings};
pub use request::{SignupStatus, SignupView};
pub use siteverify::{SiteVerify, SiteVerifyError, SiteVerifySettings};
pub use token::Confidential;
pub use wanted::{DisplayName, Email, Slug, WantedError};

/// See who asks for a tenant.
pub const SIGNUPS_READ: Permission = Permission::new("signups.read");
/// Approve and reject who asks for a tenant.
pub const SIGNUPS_WRITE: Permission = Permission::new("signups.write");
/// Registration by whoever wants a tenant.
pub const SELF_SIGNUP: FeatureKey<'_> = FeatureKey::literal("tenancy.self-signup.v1");

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_124_000_700,
    name: "signup",
    sql: include_str!("../migrations/20261124_000700_signup.sql"),
}];

/// What the module stands on. Nothing here has a default.
pub struct Parts {
    /// Where requests are kept.
    pub store: Store,
    /// The way to the registration of tenants.
    pub line: Line,
    /// Who invites the administrators of tenants.
    pub identity: Identity,
    /// The tenant whose operators may decide about any request.
    pub application: TenantId,
    /// What is asked of those who ask.
    pub settings: Settings,
    /// What operators have decided.
    pub decided: Arc<dyn Fn() -> Decided + Send + Sync>,
    /// Who tells people from programs. Without one every request is refused.
    pub verifier: Option<Arc<dyn VerifyChallenge>>,
    /// The way to people. Without one nobody can be asked to confirm, so every request is refused.
    pub post: Option<Post>,
    /// The key under which network addresses are kept. It must be the same on all replicas, and not in the database.
    pub pepper: SecretString,
}

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Signup(Arc<Parts>);

impl Signup {
    /// Over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// What counts for a request beneath this tenant, or at the root.
    pub(crate) fn policy(&self, parent: Option<TenantId>) -> Policy {
        self.settings.beneath(parent, (self.decided)())
    }

    /// Whether somebody tells people from programs.
    pub fn has_verifier(&self) -> bool {
        self.verifier.is_some()
    }
}

impl std::ops::Deref for Signup {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Signup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signup")
    }
}

impl Module for Signup {
    const NAME: &'static str = "signup";
    const PRODUCT: &'static str = "chancery";
    type Error = SignupError;
}

/// Why an operation on signups failed.
#[derive(Debug, thiserror::Error)]
pub enum SignupError {
    /// The configuration does not let people sign up here.
    #[error("signing up is not offered here")]
    Disabled,
    /// Nobody vouches that a person asks.
    #[error("the challenge was not passed")]
    ChallengeRejected,
    /// Whoever would vouch does not answer.
    #[error("the challenge cannot be checked at the moment")]
    ChallengeUnavailable,
    /// There is nobody to send mail by.
    #[error("mail cannot be sent from here")]
    MailUnavailable,
    /// Too many requests from one place, or for one address.
    #[error("too many requests; try again later")]
    TooMany {
        /// When there may be another.
        retry_after: Duration,
    },
    /// No such token waits to be used. Why is not told.
    #[error("the link is not known, was used, or is too old")]
    InvalidToken,
    /// There is no such request, or not for this caller.
    #[error("there is no such signup request")]
    NoSuchRequest,
    /// The request has gone another way.
    #[error("the request is {0}, so this cannot be done to it")]
    Misplaced(SignupStatus),
    /// The tenant was not registered.
    #[error("{message}")]
    NotRegistered {
        /// As the registration has it.
        code: &'static str,
        /// As the registration has it.
        category: Category,
        /// As the registration has it.
        message: String,
        /// As the registration has it.
        retry_after: Option<Duration>,
    },
    /// The tenant's administrator could not be invited: the request stays confirmed, and is taken up again.
    #[error("failed to invite the tenant's administrator")]
    NotInvited(#[source] IdentityError),
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SignupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Problem for SignupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "signup_disabled",
            Self::ChallengeRejected => "challenge_rejected",
            Self::ChallengeUnavailable => "challenge_unavailable",
            Self::MailUnavailable => "mail_unavailable",
            Self::TooMany { .. } => "too_many_requests",
            Self::InvalidToken => "invalid_token",
            Self::NoSuchRequest => "unknown_signup_request",
            Self::Misplaced(_) => "signup_misplaced",
            Self::NotRegistered { code, .. } => code,
            Self::NotInvited(_) | Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Disabled | Self::ChallengeRejected => Category::Forbidden,
            Self::ChallengeUnavailable | Self::MailUnavailable => Category::Unavailable,
            Self::TooMany { .. } => Category::RateLimited,
            Self::InvalidToken | Self::NoSuchRequest => Category::NotFound,
            Self::Misplaced(_) => Category::Conflict,
            Self::NotRegistered { category, .. } => *category,
            Self::NotInvited(_) | Self::Store(_) => Category::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after } => Some(*retry_after),
            Self::NotRegistered { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
