mod memory;
mod sql;

use std::time::Duration;

use jiff::Timestamp;
use store::{StoreError, sqlx};

use crate::BoxFuture;
use crate::key::digest;
use crate::obligation::Obligation;

pub use memory::MemoryOutcomes;
pub(crate) use sql::MIGRATION;
pub use sql::SqlOutcomes;

/// Outcomes kept for `Idempotency-Key`: a repeated call gets the first one's (semantics 5.5).
///
/// The laws an implementation must hold are in `suite`; instantiate them with `outcome_store_suite!`.
pub trait OutcomeStore: Send + Sync {
    /// Asks to be the one who runs a call. Of all who ask with the same tenant, command, caller and key, one at a time
    /// is told [`Claim::New`].
    fn claim<'a>(
        &'a self,
        request: ClaimRequest<'a>,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, OutcomeError>>;
}

/// Which call is meant. All texts are opaque: any content, any length.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// The tenant's id; `None` in platform scope.
    pub tenant: Option<&'a str>,
    /// The command id.
    pub command: &'a str,
    /// Who calls.
    pub caller: &'a str,
    /// The `Idempotency-Key` they sent.
    pub key: &'a str,
    /// What tells one body from another, e.g. its SHA-256.
    pub fingerprint: &'a str,
}

/// How long things are kept, counted from the claim.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// A claim whose caller died; longer than any call may take.
    pub pending: Duration,
    /// A stored outcome.
    pub stored: Duration,
}

/// The largest outcome that is kept, in bytes.
pub const LARGEST_OUTCOME: usize = 256 * 1024;

/// What is kept of an outcome that is too large: no JSON is empty.
const UNKEPT: &str = "";

/// What became of asking.
#[derive(Debug)]
pub enum Claim {
    /// Nobody has run this call: run it and settle the guard.
    New(ClaimGuard),
    /// It has run; this is its outcome.
    Replay(String),
    /// It has run; its outcome was larger than [`LARGEST_OUTCOME`] and was not kept.
    Unkept,
    /// Somebody is running it at this moment.
    InFlight,
    /// The key was used for another body.
    Mismatch,
}

impl Claim {
    /// For implementations of [`OutcomeStore`]: it has run, and this is what [`ClaimGuard`] had stored.
    pub fn stored(outcome: String) -> Self {
        if outcome == UNKEPT { Self::Unkept } else { Self::Replay(outcome) }
    }
}

/// The right to run a call. Dropped unsettled, it is abandoned in the background.
#[derive(Debug)]
#[must_use = "a claim that is dropped is abandoned"]
pub struct ClaimGuard {
    obligation: Obligation<Option<String>, OutcomeError>,
}

impl ClaimGuard {
    /// For implementations of [`OutcomeStore`]: `settle` is called at most once, with the outcome, or with `None` when
    /// there is none and the next caller may run.
    pub fn new<S, F>(settle: S) -> Self
    where
        S: FnOnce(Option<String>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), OutcomeError>> + Send + 'static,
    {
        Self { obligation: Obligation::new(settle) }
    }

    /// Stores the outcome, as JSON, for the repeats; or, where it is too large, that it was.
    ///
    /// # Errors
    ///
    /// [`OutcomeError::Expired`] when the claim has meanwhile gone to somebody else.
    pub async fn complete(self, outcome: String) -> Result<(), OutcomeError> {
        let kept = if outcome.len() > LARGEST_OUTCOME { UNKEPT.to_owned() } else { outcome };
        self.obligation.settle(Some(kept)).await
    }

    /// Lets the next caller with this key run.
    pub async fn abandon(self) -> Result<(), OutcomeError> {
        self.obligation.settle(None).await
    }
}

/// Why a claim was not answered, or an outcome not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The claim had expired and went to somebody else; the outcome is not stored.
    #[error("the claim has expired")]
    Expired,
    /// The store gave no answer.
    #[error("the outcome store failed")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OutcomeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl ClaimRequest<'_> {
    fn digest(&self) -> String {
        let scope = if self.tenant.is_some() { "tenant" } else { "platform" };
        digest(&[scope, self.tenant.unwrap_or_default(), self.command, self.caller, self.key])
    }
}
