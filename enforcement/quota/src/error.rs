use std::sync::Arc;

use jiff::Timestamp;
use store::{StoreError, sqlx};

use crate::Scope;

/// Why a call was not admitted, or not charged. Details are in boxes: every call moves answers, and few are refusals.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// A bucket has no room for the call.
    #[error(transparent)]
    Exhausted(Box<Exhausted>),
    /// There are as many things as there may be.
    #[error(transparent)]
    Full(Box<Full>),
    /// Nothing in this build counts the things of this quota.
    #[error(transparent)]
    Uncounted(Box<Uncounted>),
    /// The reservation had expired and its units went to somebody else; nothing was charged.
    #[error("the reservation has expired")]
    Expired,
    /// The store gave no answer. This denies. Whether something was charged, only the store knows.
    #[error("the quota store failed")]
    Store(#[source] Arc<StoreError>),
    /// The process ends, or the store did not answer in time. This denies, like an error of the store.
    #[error("the quota store did not answer")]
    Silent,
}

/// A bucket that has no room for a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quota `{quota}` of the {scope} is used up: {used} of {limit} until {resets_at}")]
pub struct Exhausted {
    /// The quota key.
    pub quota: String,
    /// Whose bucket it was.
    pub scope: Scope,
    /// Its limit.
    pub limit: u64,
    /// Units that are used or reserved.
    pub used: u64,
    /// When the window ends and the count starts again.
    pub resets_at: Timestamp,
}

/// A quota of which there are as many things as there may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quota `{quota}` of the {scope} is full: {used} of {limit}")]
pub struct Full {
    /// The quota key.
    pub quota: String,
    /// Whose quota it was.
    pub scope: Scope,
    /// Its limit.
    pub limit: u64,
    /// Things that exist or are being made.
    pub used: u64,
}

/// A quota whose things nothing in this build counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing in this build counts quota `{quota}`")]
pub struct Uncounted {
    /// The quota key.
    pub quota: String,
}

impl From<Exhausted> for QuotaError {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(Box::new(exhausted))
    }
}

impl From<Full> for QuotaError {
    fn from(full: Full) -> Self {
        Self::Full(Box::new(full))
    }
}

impl From<Uncounted> for QuotaError {
    fn from(uncounted: Uncounted) -> Self {
        Self::Uncounted(Box::new(uncounted))
    }
}

impl From<StoreError> for QuotaError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<sqlx::Error> for QuotaError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}
