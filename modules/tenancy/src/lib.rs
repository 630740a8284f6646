//! The tenant tree and the policy that decides who may add to it (semantics section 7).
//!
//! A registration passes the onboarding policy before anything is read from the database for it, so that nobody can ask
//! it which slugs are taken.

pub mod children;
pub mod tenants;

mod onboarding;
mod slug;
mod tenant;

use sdk::{prelude::*, store::sqlx};

pub use onboarding::{BootstrapOnly, ONBOARDING, OperatorOnboarding};
pub use slug::{Slug, SlugError};
pub use tenant::{Tenant, TenantStatus};

sdk::catalog!("../catalog.toml");

/// Read tenants.
pub const TENANTS_READ: Permission = Permission::new("tenants.read");
/// Add and change tenants.
pub const TENANTS_WRITE: Permission = Permission::new("tenants.write");
/// Tenants beneath tenants.
pub const SUBTENANTS: FeatureKey<'_> = FeatureKey::literal("tenancy.subtenants.v1");
/// Exports of the tenant register.
pub const EXPORTS: Quota<'_> = Quota::metered("tenancy.exports.max");

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_122_000_400,
    name: "tenants",
    sql: include_str!("../migrations/20261122_000400_tenants.sql"),
}];

/// The module.
#[derive(Clone, Debug)]
pub struct Tenancy {
    store: Store,
}

impl Module for Tenancy {
    const NAME: &'static str = "tenancy";
    const PRODUCT: &'static str = "chancery";
    type Error = TenancyError;
}

/// Why an operation on tenants failed.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// A tenant has this slug.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// There is no such tenant.
    #[error("there is no tenant `{0}`")]
    NoSuchTenant(String),
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TenancyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Problem for TenancyError {
    fn code(&self) -> &'static str {
        match self {
            Self::SlugTaken(_) => "slug_taken",
            Self::NoSuchTenant(_) => "unknown_tenant",
            Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::SlugTaken(_) => Category::Conflict,
            Self::NoSuchTenant(_) => Category::NotFound,
            Self::Store(_) => Category::Internal,
        }
    }
}

impl Tenancy {
    /// Over this database.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The tenant of the platform itself, made when there is none. It is there before the bus is, because the onboarding
    /// policy asks who belongs to it; customers neither see nor find it.
    pub async fn application_tenant(&self, ambient: &Ambient) -> Result<TenantId, TenancyError> {
        let mut work = self.store.begin().await?;
        if let Some(id) = tenant::application(&mut work).await? {
            return Ok(id);
        }
        let wanted = tenant::Registration { slug: Slug::platform(), name: None, parent: None, system: true };
        let made = tenant::register(&mut work, ambient, wanted).await?;
        work.commit().await?;
        Ok(made.id)
    }

    /// The customer tenant with this slug. System tenants are not found by slug (semantics 7.1).
    pub async fn by_slug(&self, slug: &Slug) -> Result<Option<TenantId>, TenancyError> {
        Ok(tenant::find(self.store.reader(), slug).await?.map(|tenant| tenant.id))
    }
}
