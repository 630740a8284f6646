mod sql;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::StoreError;
use store::sqlx::AnyConnection;

use crate::{Answer, BoxFuture, Projection, QuotaError, Reservation, TenantShare, Uncounted};

pub(crate) use sql::MIGRATION;
pub use sql::SqlCardinality;

/// Quotas over things that live, such as tenants (semantics 5.3): a place is reserved for a thing that is about to be
/// made, and settled when it has been made, or not.
///
/// Whoever makes the thing does so in a unit of work of its own, that ends before the reservation is settled. In between
/// the thing and its place may both count, which denies a racing call rather than admitting one too many.
pub trait CardinalityStore: Send + Sync {
    /// Takes a place for each of the keys, with the platform and the tenant, or none.
    ///
    /// An unsettled reservation expires `ttl` after `now`. A thing must be made before that: `ttl` is longer than a call
    /// may take.
    ///
    /// # Errors
    ///
    /// [`QuotaError::Full`] names the first key at its limit, [`QuotaError::Uncounted`] one without a provider. Any other
    /// error denies as well, a provider's own included.
    fn reserve<'a>(
        &'a self,
        places: &'a [Place<'a>],
        subject: Subject<'a>,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Reservation, QuotaError>>;

    /// How many there are of these keys' things, of one tenant, or of the whole platform (`None`), in the order asked. A
    /// key that only a command could tell is not among the answers. Changes nothing.
    fn projection<'a>(
        &'a self,
        tenant: Option<&'a str>,
        limits: &'a [(&'a str, u64)],
        now: Timestamp,
    ) -> Answer<'a, Result<Vec<Projection>, QuotaError>>;
}

/// The command that is about to make a thing, for providers that must look at it.
pub type Subject<'a> = &'a (dyn Any + Send + Sync);

/// A thing of one quota key that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The quota key, e.g. `tenants.root.max`.
    pub quota: &'a str,
    /// How many there may be on the whole platform.
    pub platform_limit: u64,
    /// The tenant that will have it and how many it may have; `None` for a call in platform scope.
    pub tenant: Option<TenantShare<'a>>,
}

/// Counts the things of one quota key.
pub trait CardinalityProvider: Send + Sync {
    /// Counts in the unit of work that is given, whose statements see what was committed before each. `None` where this
    /// key has no meaning without a subject.
    ///
    /// # Errors
    ///
    /// Any error denies.
    fn count<'a>(
        &'a self,
        work: &'a mut AnyConnection,
        of: Counted<'a>,
    ) -> BoxFuture<'a, Result<Option<Live>, StoreError>>;
}

/// What is to be counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// Those of this tenant, or of the whole platform.
    pub tenant: Option<&'a str>,
    /// The command that will make another one, if there is one.
    pub subject: Option<Subject<'a>>,
}

/// What a provider found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// So many things. Those that running calls make come on top.
    Things(u64),
    /// The next thing goes one beyond this level, such as a depth, whatever else is being made.
    Level(u64),
}

/// Who counts what. A key that is missing here is denied.
#[derive(Clone)]
pub struct Providers(BTreeMap<String, Arc<dyn CardinalityProvider>>);

impl Providers {
    /// Nothing is counted, so that everything that asks is denied.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// With this provider for a key.
    #[must_use]
    pub fn with(mut self, quota: &str, provider: impl CardinalityProvider + 'static) -> Self {
        self.0.insert(quota.to_owned(), Arc::new(provider));
        self
    }

    /// The keys that are counted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn find(&self, quota: &str) -> Result<&dyn CardinalityProvider, QuotaError> {
        let provider = self.0.get(quota).map(|provider| &**provider);
        provider.ok_or_else(|| Uncounted { quota: quota.to_owned() }.into())
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl<F> CardinalityProvider for F
where
    F: for<'a> Fn(&'a mut AnyConnection, Counted<'a>) -> BoxFuture<'a, Result<Option<Live>, StoreError>>
        + Send
        + Sync,
{
    fn count<'a>(
        &'a self,
        work: &'a mut AnyConnection,
        of: Counted<'a>,
    ) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
        self(work, of)
    }
}
