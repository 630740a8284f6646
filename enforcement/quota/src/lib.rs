//! Metered quotas, and the stored outcomes behind `Idempotency-Key`.
//!
//! A command reserves its units before it runs and settles afterwards: [`Reservation::commit`] charges,
//! [`Reservation::release`] gives back, a dropped reservation is released in the background, and one whose process
//! died expires. Whatever happens, in however many processes (semantics 5.4):
//!
//! - **What is admitted never exceeds a limit**: neither the tenant's nor the platform's.
//! - **All or none**: a reservation holds every charge in both buckets, or nothing.
//! - **An error denies**: no answer is not a yes.
//! - **Tenants never share a bucket**, whatever their ids: an id is any text of any length.
//!
//! The ports are [`MeteredStore`] and [`OutcomeStore`]. What they mean is written down as executable laws in `suite`
//! (feature `suite`), and every implementation instantiates it. Time is always an argument; nothing here reads a clock.

mod answer;
mod cardinality;
mod error;
mod key;
mod metered;
mod obligation;
mod outcome;
mod period;
mod projection;
#[cfg(feature = "suite")]
pub mod suite;

pub use answer::Answer;
pub use cardinality::{
    CardinalityProvider, CardinalityStore, Counted, Live, Place, Providers, SqlCardinality, Subject,
};
pub use error::{Exhausted, Full, QuotaError, Uncounted};
pub use metered::{
    Charge, Limit, MemoryQuota, MeteredStore, Recorded, Reservation, Scope, Settle, Settlement, SqlQuota,
    TenantShare, Usage,
};
pub use outcome::{
    Claim, ClaimGuard, ClaimRequest, LARGEST_OUTCOME, Lifetimes, MemoryOutcomes, OutcomeError, OutcomeStore,
    SqlOutcomes,
};
pub use period::{Period, PeriodError, Window, Windows};
pub use projection::Projection;

use store::Migration;

/// A boxed future, so that the ports can be held as `Arc<dyn …>`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The tables of [`SqlQuota`], [`SqlCardinality`] and [`SqlOutcomes`].
pub const MIGRATIONS: &[Migration] =
    &[metered::MIGRATION, outcome::MIGRATION, cardinality::MIGRATION, metered::GRANTING];
