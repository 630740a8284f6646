mod memory;
mod sql;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use store::{StoreError, sqlx};

use crate::key::digest;
use crate::obligation::Obligation;
use crate::{BoxFuture, Window};

pub use memory::MemoryQuota;
pub(crate) use sql::MIGRATION;
pub use sql::SqlQuota;

/// Metered quotas, counted in two buckets: the platform's and the tenant's (semantics 5.1, 5.2).
///
/// The laws an implementation must hold are in `suite`; instantiate them with `metered_store_suite!`.
pub trait MeteredStore: Send + Sync {
    /// Takes every charge from both of its buckets, or nothing.
    ///
    /// An unsettled reservation expires `ttl` after `now`: from then on whoever needs its units may take them.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Exhausted`] names the first bucket without room, the platform's before the tenant's. Any other error
    /// denies as well.
    fn reserve<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        ttl: Duration,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Reservation, QuotaError>>;

    /// What is used of a quota in a window, by one tenant, or by the whole platform (`None`). Changes nothing.
    fn usage<'a>(
        &'a self,
        tenant: Option<&'a str>,
        quota: &'a str,
        window: Window,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Usage, QuotaError>>;
}

/// What one quota key asks of a call.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The quota key, e.g. `messages.sent`.
    pub quota: &'a str,
    /// How many units the call costs: the cost weight of its command.
    pub units: u64,
    /// The window the units are counted in.
    pub window: Window,
    /// Units that the whole platform may use in the window. Beyond 2⁶³ - 1 it is that.
    pub platform_limit: u64,
    /// The tenant that calls and its own limit; `None` for a call in platform scope.
    pub tenant: Option<TenantShare<'a>>,
}

/// A tenant's part of a quota.
#[derive(Debug, Clone, Copy)]
pub struct TenantShare<'a> {
    /// The tenant's id: any text.
    pub id: &'a str,
    /// Units that the tenant may use in the window. Beyond 2⁶³ - 1 it is that.
    pub limit: u64,
}

/// Whose bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole platform's.
    Platform,
    /// One tenant's.
    Tenant,
}

/// What a bucket holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units charged for good.
    pub used: u64,
    /// Units of running calls.
    pub reserved: u64,
}

/// Why a call was not admitted, or not charged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// A bucket has no room for the call.
    #[error("quota `{quota}` of the {scope} is used up: {used} of {limit} until {resets_at}")]
    Exhausted {
        /// The quota key.
        quota: String,
        /// Whose bucket it was.
        scope: Scope,
        /// Its limit.
        limit: u64,
        /// Units that are used or reserved.
        used: u64,
        /// When the window ends and the count starts again.
        resets_at: Timestamp,
    },
    /// The reservation had expired and its units went to somebody else; nothing was charged.
    #[error("the reservation has expired")]
    Expired,
    /// The store gave no answer. This denies.
    #[error("the quota store failed")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for QuotaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "platform",
            Self::Tenant => "tenant",
        })
    }
}

/// Units held for a running call. Dropped unsettled, it is released in the background.
///
/// To charge an attempt rather than a success, commit before dispatching.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is released"]
pub struct Reservation {
    obligation: Obligation<Settlement, QuotaError>,
}

/// How a reservation ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Settlement {
    /// The units are charged.
    Commit,
    /// The units are given back.
    #[default]
    Release,
}

impl Reservation {
    /// For implementations of [`MeteredStore`]: `settle` is called at most once.
    pub fn new<S, F>(settle: S) -> Self
    where
        S: FnOnce(Settlement) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), QuotaError>> + Send + 'static,
    {
        Self { obligation: Obligation::new(settle) }
    }

    /// Charges the units; durable when it returns.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Expired`] when the units have meanwhile gone to somebody else. A reservation that has outlived its
    /// time unnoticed is still charged: that cannot exceed a limit.
    pub async fn commit(self) -> Result<(), QuotaError> {
        self.obligation.settle(Settlement::Commit).await
    }

    /// Gives the units back.
    pub async fn release(self) -> Result<(), QuotaError> {
        self.obligation.settle(Settlement::Release).await
    }
}

/// A place where units are counted. The tenant is a [`digest`], and empty in platform scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bucket {
    scope: Scope,
    tenant: String,
    quota: String,
    window_start: i64,
}

impl Bucket {
    fn new(tenant: Option<&str>, quota: &str, window: Window) -> Self {
        Self {
            scope: if tenant.is_some() { Scope::Tenant } else { Scope::Platform },
            tenant: tenant.map(|id| digest(&[id])).unwrap_or_default(),
            quota: quota.to_owned(),
            window_start: window.start.as_microsecond(),
        }
    }
}

/// What a charge asks of one bucket.
#[derive(Debug)]
struct Hold {
    bucket: Bucket,
    units: u64,
    limit: u64,
    resets_at: Timestamp,
}

impl Hold {
    /// The holds of all charges, in the order in which every caller takes them; so no two callers wait for each other.
    fn all(charges: &[Charge<'_>]) -> Vec<Self> {
        let hold = |charge: &Charge<'_>, tenant, limit: u64| Self {
            bucket: Bucket::new(tenant, charge.quota, charge.window),
            units: charge.units,
            limit: limit.min(i64::MAX.unsigned_abs()),
            resets_at: charge.window.end,
        };
        let platform = charges.iter().map(|charge| hold(charge, None, charge.platform_limit));
        let tenants = charges
            .iter()
            .filter_map(|charge| charge.tenant.map(|share| hold(charge, Some(share.id), share.limit)));
        let mut holds: Vec<_> = platform.chain(tenants).collect();
        holds.sort_by(|a, b| a.bucket.cmp(&b.bucket));
        holds
    }

    /// Whether there is room besides the `used` units, reserved ones included.
    fn admit(&self, used: u64) -> Result<(), QuotaError> {
        if used.checked_add(self.units).is_some_and(|total| total <= self.limit) {
            return Ok(());
        }
        Err(QuotaError::Exhausted {
            quota: self.bucket.quota.clone(),
            scope: self.bucket.scope,
            limit: self.limit,
            used,
            resets_at: self.resets_at,
        })
    }
}
