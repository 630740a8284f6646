use sdk::{prelude::*, store::sqlx};

use crate::{DomainName, Slug};

/// Why an operation on tenants failed.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// A tenant has this slug, or had it.
    #[error("the slug `{0}` is taken")]
    SlugTaken(Slug),
    /// There is no such tenant, or none that the caller may know of.
    #[error("there is no tenant `{0}`")]
    NoSuchTenant(String),
    /// Tenants stand beneath it.
    #[error("tenants stand beneath `{0}`; delete those first")]
    HasChildren(TenantId),
    /// It may not act, so nothing is added to it.
    #[error("the tenant `{0}` is not active")]
    NotActive(TenantId),
    /// Its registration has not ended, so its status is not for operators to change.
    #[error("the registration of `{0}` has not ended")]
    StillRegistering(TenantId),
    /// The tenant has no such domain.
    #[error("the tenant has no domain `{0}`")]
    NoSuchDomain(DomainName),
    /// The domain cannot be a tenant's own.
    #[error("`{0}` cannot be the domain of a tenant")]
    DomainNotAllowed(DomainName),
    /// The tenant has the domain already.
    #[error("the tenant has the domain `{0}` already")]
    DomainPresent(DomainName),
    /// The tenant has as many domains as one may have.
    #[error("a tenant has {0} domains at most")]
    TooManyDomains(i64),
    /// Another tenant has proved that the domain is its own.
    #[error("the domain `{0}` is another tenant's")]
    DomainTaken(DomainName),
    /// The domain's record does not hold the challenge.
    #[error("there is no TXT record `{name}` with the value of the challenge")]
    ChallengeNotMet {
        /// Where the record was looked for.
        name: String,
    },
    /// Nobody answered what the domain's record holds.
    #[error("the name servers did not answer for `{0}`")]
    NameServers(String),
    /// The domain is not proved to be the tenant's.
    #[error("the domain `{0}` is not verified")]
    NotVerified(DomainName),
    /// The platform's own subdomain stays.
    #[error("the subdomain `{0}` comes with the tenant and stays")]
    SubdomainStays(DomainName),
    /// There is no such registration, or none that the caller may know of.
    #[error("there is no such registration")]
    NoSuchRegistration,
    /// Another module could not do its part, so the registration was undone, or will be.
    #[error("the registration was not completed: step `{step}` failed with `{code}`")]
    StepFailed {
        /// Which step.
        step: &'static str,
        /// The stable code of what went wrong.
        code: String,
    },
    /// Only operators of the platform may do this.
    #[error("this is for operators of the platform")]
    OperatorsOnly,
    /// Both ways to name a registration were used, where one is meant.
    #[error("name a registration by `logId` or by `tenantId`, not both")]
    NamedTwice,
    /// The page does not begin where it says.
    #[error("`after` is not the `next` of a page in this order")]
    MalformedCursor,
    /// What stands before the command of a registration refused it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The command of a registration did not come to an end.
    #[error("the registration came to no end")]
    Interrupted,
    /// The database does not hold the platform's own tenant.
    #[error("there is no application tenant")]
    NoApplicationTenant,
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
            Self::HasChildren(_) => "tenant_has_children",
            Self::NotActive(_) => "tenant_not_active",
            Self::StillRegistering(_) => "tenant_not_registered",
            Self::NoSuchDomain(_) => "unknown_domain",
            Self::DomainNotAllowed(_) => "domain_not_allowed",
            Self::DomainPresent(_) => "domain_present",
            Self::TooManyDomains(_) => "too_many_domains",
            Self::DomainTaken(_) => "domain_taken",
            Self::ChallengeNotMet { .. } => "challenge_not_met",
            Self::NameServers(_) => "name_servers_unavailable",
            Self::NotVerified(_) => "domain_not_verified",
            Self::SubdomainStays(_) => "subdomain_stays",
            Self::NoSuchRegistration => "unknown_registration",
            Self::StepFailed { .. } => "registration_failed",
            Self::OperatorsOnly => "operators_only",
            Self::NamedTwice => "named_twice",
            Self::MalformedCursor => "malformed_cursor",
            Self::Refused(refusal) => refusal.code,
            Self::Interrupted | Self::NoApplicationTenant | Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::NoSuchTenant(_) | Self::NoSuchDomain(_) | Self::NoSuchRegistration => Category::NotFound,
            Self::SlugTaken(_)
            | Self::HasChildren(_)
            | Self::NotActive(_)
            | Self::StillRegistering(_)
            | Self::DomainPresent(_)
            | Self::TooManyDomains(_)
            | Self::DomainTaken(_)
            | Self::ChallengeNotMet { .. }
            | Self::NotVerified(_)
            | Self::SubdomainStays(_) => Category::Conflict,
            Self::DomainNotAllowed(_) | Self::NamedTwice | Self::MalformedCursor => Category::Validation,
            Self::OperatorsOnly => Category::Forbidden,
            Self::NameServers(_) | Self::StepFailed { .. } | Self::Interrupted => Category::Unavailable,
            Self::Refused(refusal) => refusal.category,
            Self::NoApplicationTenant | Self::Store(_) => Category::Internal,
        }
    }
}
