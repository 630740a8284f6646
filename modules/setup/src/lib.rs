//! First-run setup: what an anonymous caller may do until there is somebody who can sign in.
//!
//! It asks for a license, installs it, and invites the first administrator, by the commands that operators use later, run
//! as the process itself.
//!
//! **Invariant: the gate closes once.** It is open until a platform administrator has set a credential, on whatever way;
//! from then on every command here answers as if there were none, on every replica and after every restart.

pub mod license;
pub mod license_request;
pub mod onboarding;
pub mod platform;
pub mod status;

mod activation;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::platform::PlatformError;
use identity::IdentityError;
use jiff::Timestamp;
use sdk::{
    kernel::{Command, Fault},
    prelude::*,
    store::sqlx::{self, Row as _},
};
use url::Url;
use uuid::Uuid;

pub use activation::{ActivationStatus, AdministratorActivation, DeliveryState};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_124_000_100,
    name: "setup gate",
    sql: include_str!("../migrations/20261124_000100_gate.sql"),
}];

/// What setup has to know of the deployment.
pub trait Site: Send + Sync + 'static {
    /// Whether some platform administrator has ever set a credential.
    fn is_administered(&self) -> BoxFuture<'_, Result<bool, IdentityError>>;

    /// Whether there is a license that counts.
    fn is_licensed(&self) -> bool;

    /// What became of a mail.
    fn delivery(&self, mail: Uuid) -> BoxFuture<'_, Result<DeliveryState, StoreError>>;
}

/// What is configured, as far as setup tells.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The tenant of the platform itself.
    pub application: TenantId,
    /// The address people reach the server by.
    pub public_url: Option<Url>,
    /// Keys of the configuration that a first tenant needs and that are not set.
    pub missing_keys: Vec<String>,
    /// Whether mail can be sent.
    pub email_configured: bool,
}

/// The module.
#[derive(Clone)]
pub struct Setup {
    store: Store,
    line: Line,
    site: Arc<dyn Site>,
    facts: Arc<Facts>,
    /// What was closed stays closed, so this need not be asked for again.
    closed: Arc<AtomicBool>,
}

impl Module for Setup {
    const NAME: &'static str = "setup";
    const PRODUCT: &'static str = "chancery";
    type Error = SetupError;
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setup")
    }
}

/// Why a step of the setup failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The gate is closed: this is answered as what does not exist is.
    #[error("there is no command `{0}`")]
    Closed(CommandId),
    /// Somebody else was faster.
    #[error("an administrator was invited; their token is good until {0}")]
    Invited(Timestamp),
    /// The draft is too large to be kept.
    #[error("a draft has at most {MAX_DRAFT_BYTES} bytes")]
    DraftTooLarge,
    /// A command on operators was not carried out.
    #[error("{0}")]
    Identity(Fault<IdentityError>),
    /// A command on the license was not carried out.
    #[error("{0}")]
    Platform(Fault<PlatformError>),
    /// The program is starting or stopping.
    #[error("{0}")]
    Refused(Refusal),
    /// Whether there is an administrator cannot be said.
    #[error("failed to look for an administrator")]
    Unknown(#[source] IdentityError),
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

/// The largest draft that is kept, in bytes of JSON.
pub const MAX_DRAFT_BYTES: usize = 64 * 1024;

impl From<sqlx::Error> for SetupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Refusal> for SetupError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault<IdentityError>> for SetupError {
    fn from(fault: Fault<IdentityError>) -> Self {
        Self::Identity(fault)
    }
}

impl From<Fault<PlatformError>> for SetupError {
    fn from(fault: Fault<PlatformError>) -> Self {
        Self::Platform(fault)
    }
}

impl Problem for SetupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Closed(_) => "unknown_command",
            Self::Invited(_) => "administrator_invited",
            Self::DraftTooLarge => "draft_too_large",
            Self::Identity(fault) => code(fault),
            Self::Platform(fault) => code(fault),
            Self::Refused(refusal) => refusal.code,
            Self::Unknown(_) | Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Closed(_) => Category::NotFound,
            Self::Invited(_) => Category::Conflict,
            Self::DraftTooLarge => Category::Validation,
            Self::Identity(fault) => category(fault),
            Self::Platform(fault) => category(fault),
            Self::Refused(refusal) => refusal.category,
            Self::Unknown(_) | Self::Store(_) => Category::Internal,
        }
    }
}

fn code<E: Problem>(fault: &Fault<E>) -> &'static str {
    match fault {
        Fault::Failed(error) => error.code(),
        Fault::Refused(refusal) => refusal.code,
        Fault::Input(_) => "invalid_input",
        Fault::DeadlineExceeded => "deadline_exceeded",
        Fault::Unknown(_) | Fault::Panicked | Fault::Internal(_) => "internal",
    }
}

fn category<E: Problem>(fault: &Fault<E>) -> Category {
    match fault {
        Fault::Failed(error) => error.category(),
        Fault::Refused(refusal) => refusal.category,
        Fault::Input(_) => Category::Validation,
        Fault::DeadlineExceeded => Category::Unavailable,
        Fault::Unknown(_) | Fault::Panicked | Fault::Internal(_) => Category::Internal,
    }
}

impl Setup {
    /// Over this database, with a way to the commands that setup runs.
    pub fn new(store: Store, line: Line, site: Arc<dyn Site>, facts: Facts) -> Self {
        Self { store, line, site, facts: Arc::new(facts), closed: Arc::default() }
    }

    /// Whether the gate is open. Whoever asks closes it, once there is an administrator.
    pub async fn is_open(&self, now: Timestamp) -> Result<bool, SetupError> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let row = sqlx::query("SELECT closed_at FROM setup_gate WHERE id = 1")
            .fetch_one(self.store.reader())
            .await?;
        let mut open = row.try_get::<Option<i64>, _>("closed_at")?.is_none();
        if open && self.site.is_administered().await.map_err(SetupError::Unknown)? {
            let mut work = self.store.begin().await?;
            sqlx::query("UPDATE setup_gate SET closed_at = $1 WHERE id = 1 AND closed_at IS NULL")
                .bind(now.as_microsecond())
                .execute(&mut *work)
                .await?;
            work.commit(Cause::Upkeep).await?;
            open = false;
        }
        if !open {
            self.closed.store(true, Ordering::Relaxed);
        }
        Ok(open)
    }

    /// Refuses what comes when the gate is closed.
    async fn enter<C: Command>(&self, cx: &Cx) -> Result<(), SetupError> {
        if self.is_open(cx.now()).await? { Ok(()) } else { Err(SetupError::Closed(C::CONTRACT.id())) }
    }

    /// Runs another module's command as the process itself.
    async fn run<C: Command>(&self, cx: &Cx, command: C) -> Result<C::Output, SetupError>
    where
        SetupError: From<Fault<<C::Module as Module>::Error>>,
    {
        let mut inner = Cx::new(cx.ambient().clone(), Principal::System)
            .with_tenant(self.facts.application)
            .with_correlation(cx.correlation().clone());
        if let Some(deadline) = cx.deadline() {
            inner = inner.with_deadline(deadline);
        }
        Ok(self.line.bus()?.dispatch(inner, command).await?)
    }
}

/// How long a bootstrap that was begun keeps others out before it is taken for dead.
const LEASE: Duration = Duration::from_mins(1);
