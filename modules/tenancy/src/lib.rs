//! The tenant tree, its domains, and the policy that decides who may add to it (semantics section 7).
//!
//! A registration passes the onboarding policy before anything is read from the database for it, so that nobody can ask
//! it which slugs are taken. It is then a sequence of steps in a log: those of this module in one transaction, those of
//! other modules after it.
//!
//! Whoever belongs to the application tenant acts for the whole platform. Everybody else sees their own tenant and what
//! stands beneath it, and asking about any other is answered as if there were none.

pub mod children;
pub mod domains;
pub mod lifecycle;
pub mod onboarding;
pub mod registrations;
pub mod tenants;

mod counts;
mod dns;
mod domain;
mod error;
mod page;
mod policy;
mod registration;
mod slug;
mod tenant;
mod text;
mod toggles;
mod tree;

use std::sync::Arc;

use sdk::prelude::*;

pub use counts::{TenantCount, cardinality_providers};
pub use dns::{Dns, LookupFailed, LookupTxt};
pub use domain::{Challenge, DomainError, DomainKind, DomainName, TenantDomain};
pub use error::TenancyError;
pub use policy::{BootstrapOnly, ONBOARDING, ToggledOnboarding};
pub use registration::{Source, Step};
pub use slug::{Slug, SlugError};
pub use tenant::{Tenant, TenantPage, TenantStatus};
pub use text::{Text, TextError};
pub use toggles::{OnboardingPolicy, OnboardingToggles};

sdk::catalog!("../catalog.toml");

/// Read tenants and their domains.
pub const TENANTS_READ: Permission = Permission::new("tenants.read");
/// Add and change tenants and their domains.
pub const TENANTS_WRITE: Permission = Permission::new("tenants.write");
/// Read the onboarding policy.
pub const ONBOARDING_READ: Permission = Permission::new("onboarding.read");
/// Change the onboarding policy.
pub const ONBOARDING_WRITE: Permission = Permission::new("onboarding.write");
/// Tenants beneath tenants.
pub const SUBTENANTS: FeatureKey<'_> = FeatureKey::literal("tenancy.subtenants.v1");
/// Tenants under domains of their own.
pub const CUSTOM_DOMAINS: FeatureKey<'_> = FeatureKey::literal("tenancy.custom-domains.v1");
/// Exports of the tenant register.
pub const EXPORTS: Quota<'_> = Quota::metered("tenancy.exports.max");
/// Customer tenants beneath nobody.
pub const ROOT_TENANTS: Quota<'_> = Quota::cardinality("tenants.root.max");
/// Customer tenants in the whole tree.
pub const TOTAL_TENANTS: Quota<'_> = Quota::cardinality("tenants.total.max");
/// Levels of the tree.
pub const TENANT_DEPTH: Quota<'_> = Quota::cardinality("tenants.depth.max");

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_122_000_400,
    name: "tenants",
    sql: include_str!("../migrations/20261122_000400_tenants.sql"),
}];

/// The module.
#[derive(Clone)]
pub struct Tenancy {
    store: Store,
    application: TenantId,
    settings: Arc<Settings>,
}

/// What an operator or the assembly decides about tenants.
pub struct Settings {
    /// Where tenants have a subdomain by their slug; nowhere, when not stated.
    pub platform_domain: Option<DomainName>,
    /// Whether a request to a verified domain of a tenant is for that tenant.
    pub custom_domains: bool,
    /// The tenant of requests that nothing else names one for.
    pub self_tenant: Option<Slug>,
    /// The hosts by which the platform itself is reached: no tenant's, and not looked up.
    pub own_hosts: Vec<String>,
    /// Who is asked for the records that prove a domain.
    pub txt: Arc<dyn LookupTxt>,
    /// What operators have decided about onboarding.
    pub policy: OnboardingPolicy,
    /// The way to the commands of [`steps`](Self::steps).
    pub line: Line,
    /// What other modules do for a new tenant before it is active, in this order.
    pub steps: Vec<Step>,
}

impl Settings {
    /// No domains, no steps of others, and nothing that may be registered.
    pub fn none() -> Self {
        Self {
            platform_domain: None,
            custom_domains: false,
            self_tenant: None,
            own_hosts: Vec::new(),
            txt: Arc::new(Dns::of_the_system()),
            policy: OnboardingPolicy::closed(),
            line: Line::default(),
            steps: Vec::new(),
        }
    }
}

impl Module for Tenancy {
    const NAME: &'static str = "tenancy";
    const PRODUCT: &'static str = "chancery";
    type Error = TenancyError;
}

/// The tenant of the platform itself, made when there is none. It is there before the bus is, because the onboarding
/// policy asks who belongs to it; customers neither see nor find it.
pub async fn application_tenant(store: &Store, ambient: &Ambient) -> Result<TenantId, TenancyError> {
    let mut work = store.begin().await?;
    let id = tree::application(&mut work, ambient).await?;
    work.commit(Cause::Upkeep).await?;
    Ok(id)
}

/// The customer tenant with this slug, for whoever only looks into a database.
pub async fn customer_tenant(store: &Store, slug: &Slug) -> Result<Option<Tenant>, TenancyError> {
    tenant::by_slug(store.reader(), slug).await
}

impl Tenancy {
    /// Over this database, whose [`application_tenant`] this is.
    pub fn new(store: Store, application: TenantId, settings: Settings) -> Self {
        Self { store, application, settings: Arc::new(settings) }
    }

    /// The customer tenant with this slug. System tenants are not found by slug (semantics 7.1).
    pub async fn by_slug(&self, slug: &Slug) -> Result<Option<Tenant>, TenancyError> {
        customer_tenant(&self.store, slug).await
    }

    /// The tenant with this id, the platform's own included.
    pub async fn by_id(&self, id: TenantId) -> Result<Option<Tenant>, TenancyError> {
        tenant::by_id(self.store.reader(), id).await
    }

    /// The tenant that a request to this host is for (semantics 7.8): by its verified domain, else by its subdomain of the
    /// platform, else the configured one. Asks the database once at most, and not at all for the platform's own hosts.
    pub async fn by_host(&self, host: &str) -> Result<Option<Tenant>, TenancyError> {
        let Settings { platform_domain, custom_domains, self_tenant, own_hosts, .. } = &*self.settings;
        let own = own_hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if let Some(domain) = host.parse::<DomainName>().ok().filter(|_| !own) {
            // Nobody's own domain is beneath the platform's, so the two cannot both name a tenant.
            let label = platform_domain.as_ref().and_then(|platform| domain.label_beneath(platform));
            let found = match label {
                Some(label) => match label.parse() {
                    Ok(slug) => self.by_slug(&slug).await?,
                    Err(SlugError) => None,
                },
                None if *custom_domains => domain::owner(self.store.reader(), &domain).await?,
                None => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        match self_tenant {
            Some(slug) => self.by_slug(slug).await,
            None => Ok(None),
        }
    }

    /// Takes over what operators have decided about onboarding since, on this replica or another.
    pub async fn refresh(&self) -> Result<(), TenancyError> {
        toggles::refresh(&self.store, &self.settings.policy).await
    }

    /// What operators have decided about onboarding, for whoever asks without waiting.
    pub fn policy(&self) -> &OnboardingPolicy {
        &self.settings.policy
    }

    /// Whether the caller acts for the whole platform.
    fn is_operator(&self, cx: &Cx) -> bool {
        match cx.principal() {
            Principal::System => true,
            Principal::Authenticated(who) => who.home == Some(self.application),
            Principal::Anonymous => false,
        }
    }

    /// Refuses whoever does not act for the whole platform.
    fn for_operators(&self, cx: &Cx) -> Result<(), TenancyError> {
        if self.is_operator(cx) { Ok(()) } else { Err(TenancyError::OperatorsOnly) }
    }

    /// The customer tenant with this id, if the caller may know of it: an operator, or whose own tenant it is or stands
    /// beneath.
    async fn reached(&self, cx: &Cx, id: TenantId) -> Result<Tenant, TenancyError> {
        let unknown = || TenancyError::NoSuchTenant(id.to_string());
        let found = self.by_id(id).await?.filter(|tenant| !tenant.system).ok_or_else(unknown)?;
        if self.is_operator(cx) {
            return Ok(found);
        }
        let home = match cx.principal() {
            Principal::Authenticated(who) => who.home.ok_or_else(unknown)?,
            Principal::Anonymous | Principal::System => return Err(unknown()),
        };
        let mut connection = self.store.reader().acquire().await?;
        if tree::is_within(&mut connection, id, home).await? { Ok(found) } else { Err(unknown()) }
    }
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenancy").field("application", &self.application).finish_non_exhaustive()
    }
}
