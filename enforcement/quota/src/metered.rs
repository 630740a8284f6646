mod ledger;
mod memory;
#[cfg(test)]
mod model;
mod queue;
mod sql;
mod sync;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::key::digest;
use crate::{Answer, Exhausted, Projection, QuotaError, Window};

pub use memory::MemoryQuota;
pub use sql::SqlQuota;
pub(crate) use sql::{GRANTING, MIGRATION};

/// Metered quotas, counted in two buckets: the platform's and the tenant's (semantics 5.1, 5.2).
///
/// The laws an implementation must hold are in `suite`; instantiate them with `metered_store_suite!`.
pub trait MeteredStore: Send + Sync {
    /// Takes every charge from both of its buckets, or nothing.
    ///
    /// An unsettled reservation expires `ttl` after `now`, or up to a second later: from then on whoever needs its units
    /// may take them.
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
    ) -> Answer<'a, Result<Reservation, QuotaError>>;

    /// How far these quotas are used, by one tenant, or by the whole platform (`None`), in the order asked. Changes
    /// nothing.
    fn projection<'a>(
        &'a self,
        tenant: Option<&'a str>,
        limits: &'a [Limit<'a>],
        now: Timestamp,
    ) -> Answer<'a, Result<Vec<Projection>, QuotaError>>;

    /// Everything that was ever counted, in no particular order. Changes nothing.
    fn usage(&self, now: Timestamp) -> Answer<'_, Result<Vec<Recorded>, QuotaError>>;
}

/// What one quota key asks of a call.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The quota key, e.g. `messages.sent`.
    pub quota: &'a str,
    /// How many units the call costs: the cost weight of its command.
    pub units: NonZeroU64,
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

/// A quota whose use is asked for: its limit is not the store's to know.
#[derive(Debug, Clone, Copy)]
pub struct Limit<'a> {
    /// The quota key.
    pub quota: &'a str,
    /// Units that may be used in the window.
    pub limit: u64,
    /// The window.
    pub window: Window,
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

/// A bucket as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Whose it is; `None` for the whole platform's.
    pub tenant: Option<String>,
    /// The quota key.
    pub quota: String,
    /// The window.
    pub window: Window,
    /// What it holds.
    pub usage: Usage,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Platform => "platform",
            Self::Tenant => "tenant",
        })
    }
}

/// Units held for a running call. Dropped unsettled, it is released.
///
/// To charge an attempt rather than a success, commit before dispatching.
#[must_use = "a reservation that is dropped is released"]
pub struct Reservation {
    held: Option<(Arc<dyn Settle>, u64)>,
}

/// How a reservation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// The units are charged.
    Commit,
    /// The units are given back.
    Release,
}

/// For implementations of [`MeteredStore`]: where a reservation goes when it is settled.
pub trait Settle: Send + Sync {
    /// Settles what goes by this ticket; called once for each. The settlement must be under way when this returns,
    /// whether or not its answer is waited for.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Expired`] for a commit whose units have meanwhile gone to somebody else.
    fn settle(
        self: Arc<Self>,
        ticket: u64,
        settlement: Settlement,
    ) -> Answer<'static, Result<(), QuotaError>>;
}

impl Reservation {
    /// For implementations of [`MeteredStore`]: units that `held` knows by `ticket`.
    #[inline]
    pub fn new(held: Arc<dyn Settle>, ticket: u64) -> Self {
        Self { held: Some((held, ticket)) }
    }

    /// Charges the units. That happens whether or not the answer is waited for; it is durable when the answer is there.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Expired`] when the units have meanwhile gone to somebody else. A reservation that has outlived its
    /// time unnoticed is still charged: that cannot exceed a limit.
    #[inline]
    pub fn commit(self) -> Answer<'static, Result<(), QuotaError>> {
        self.settle(Settlement::Commit)
    }

    /// Gives the units back.
    #[inline]
    pub fn release(self) -> Answer<'static, Result<(), QuotaError>> {
        self.settle(Settlement::Release)
    }

    #[inline]
    fn settle(mut self, settlement: Settlement) -> Answer<'static, Result<(), QuotaError>> {
        match self.held.take() {
            Some((held, ticket)) => held.settle(ticket, settlement),
            None => Answer::now(Ok(())),
        }
    }
}

impl Drop for Reservation {
    #[inline]
    fn drop(&mut self) {
        if let Some((held, ticket)) = self.held.take() {
            give_up(held, ticket);
        }
    }
}

/// Releases what nobody has settled.
#[cold]
fn give_up(held: Arc<dyn Settle>, ticket: u64) {
    let Some(answer) = held.settle(ticket, Settlement::Release).pending() else { return };
    // Nobody waits, so without a runtime to do that on, what went wrong stays unsaid; the units expire.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        if let Err(error) = answer.await {
            tracing::warn!(%error, "a dropped reservation is left to expire");
        }
    });
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").finish_non_exhaustive()
    }
}

/// A place where units are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    /// A [`digest`] of everything that tells this bucket from others.
    key: Arc<str>,
    tenant: Option<String>,
    quota: String,
    window: Window,
}

impl Bucket {
    fn new(tenant: Option<&str>, quota: &str, window: Window) -> Self {
        Self {
            key: Self::key(tenant, quota, window).into(),
            tenant: tenant.map(str::to_owned),
            quota: quota.to_owned(),
            window,
        }
    }

    fn key(tenant: Option<&str>, quota: &str, window: Window) -> String {
        let scope = if tenant.is_some() { "tenant" } else { "platform" };
        let start = window.start.as_microsecond().to_string();
        digest(&[scope, tenant.unwrap_or_default(), quota, &start])
    }

    const fn scope(&self) -> Scope {
        if self.tenant.is_some() { Scope::Tenant } else { Scope::Platform }
    }
}

/// What a call asks of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hold {
    bucket: Bucket,
    units: u64,
    limit: u64,
}

impl Hash for Hold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bucket.key.hash(state);
    }
}

impl Hold {
    /// What all charges ask, one hold for each bucket, the platform's first.
    fn all(charges: &[Charge<'_>]) -> Vec<Self> {
        let platform = charges.iter().map(|charge| (charge, None, charge.platform_limit));
        let tenants = charges
            .iter()
            .filter_map(|charge| charge.tenant.map(|share| (charge, Some(share.id), share.limit)));
        let mut holds: Vec<Self> = Vec::with_capacity(2 * charges.len());
        for (charge, tenant, limit) in platform.chain(tenants) {
            let bucket = Bucket::new(tenant, charge.quota, charge.window);
            let (units, limit) = (charge.units.get(), limit.min(MOST));
            match holds.iter_mut().find(|hold| hold.bucket.key == bucket.key) {
                Some(hold) => {
                    hold.units = hold.units.saturating_add(units);
                    hold.limit = hold.limit.min(limit);
                }
                None => holds.push(Self { bucket, units, limit }),
            }
        }
        holds
    }

    /// Whether there is room besides the `used` units, reserved ones included.
    fn fits(&self, used: u64) -> bool {
        used.checked_add(self.units).is_some_and(|total| total <= self.limit)
    }

    fn exhausted(&self, used: u64) -> Exhausted {
        Exhausted {
            quota: self.bucket.quota.clone(),
            scope: self.bucket.scope(),
            limit: self.limit,
            used,
            resets_at: self.bucket.window.end,
        }
    }
}

/// The largest limit: what a `BIGINT` holds.
const MOST: u64 = i64::MAX.unsigned_abs();
