//! The face of enforcement and audit: license status, coverage, events.
//!
//! Its commands are not licensed. Whoever has no license, or an expired one, must be able to see that and to renew it.

pub mod audit;
pub mod baseline;
pub mod coverage;
pub mod decisions;
pub mod entitlements;
pub mod features;
pub mod license;
pub mod license_request;
pub mod onboarding;
pub mod products;
pub mod quotas;
pub mod subscriptions;

mod gap_log;
mod handed_on;
mod tenants;
mod terms;

use std::{fmt, sync::Arc};

use ::audit::AuditError;
use ::license::{InstallError, RequestDesk, RequestingError};
use ::quota::{Providers, QuotaError};
use pipeline::{Counters, Deciding};
use sdk::prelude::*;

pub use gap_log::GapLog;
pub use handed_on::{HandedOn, HandedOnError};
pub use onboarding::availability::Onboarding;
pub use tenants::Tenants;
pub use terms::{ProductTerms, Terms, TermsError};

sdk::catalog!("../catalog.toml");

/// See the license and what it permits.
pub const LICENSE_READ: Permission = Permission::new("license.read");
/// Ask for a license, and install one.
pub const LICENSE_WRITE: Permission = Permission::new("license.write");
/// See which commands are covered.
pub const COVERAGE_READ: Permission = Permission::new("coverage.read");
/// See what is sold, what is handed on, and how far it is used.
pub const ENTITLEMENTS_READ: Permission = Permission::new("entitlements.read");
/// Change what is handed on.
pub const ENTITLEMENTS_WRITE: Permission = Permission::new("entitlements.write");
/// See which ways to a tenant are open.
pub const ONBOARDING_READ: Permission = Permission::new("onboarding.read");
/// See what happened.
pub const AUDIT_READ: Permission = Permission::new("audit.read");

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_124_000_500,
    name: "entitlements",
    sql: include_str!("../migrations/20261124_000500_entitlements.sql"),
}];

/// The module.
#[derive(Clone)]
pub struct Platform(Parts);

/// What the module is the face of.
#[derive(Clone)]
pub struct Parts {
    /// What this process decides from.
    pub deciding: Arc<Deciding>,
    /// The log it writes.
    pub log: ::audit::AuditLog,
    /// Where licenses are asked for.
    pub desk: RequestDesk,
    /// Where quotas are counted.
    pub counters: Counters,
    /// Who counts the things that quotas limit.
    pub providers: Providers,
    /// What is handed on to tenants.
    pub handed_on: HandedOn,
    /// The count of what deny mode would refuse.
    pub gap_log: GapLog,
    /// Knows the tenants.
    pub tenants: Arc<dyn Tenants>,
    /// What is known of the ways to a tenant.
    pub onboarding: Arc<dyn Onboarding>,
}

impl Platform {
    /// The face of these.
    pub const fn of(parts: Parts) -> Self {
        Self(parts)
    }
}

impl Module for Platform {
    const NAME: &'static str = "platform";
    const PRODUCT: &'static str = "chancery";
    type Error = PlatformError;
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Platform")
    }
}

/// Why a question about the platform has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
    /// What is used of a quota cannot be read.
    #[error("failed to read what is used of the quotas")]
    Quota(#[from] QuotaError),
    /// The log cannot be exported.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// More than is answered at once.
    #[error("the export is longer than 16 MiB; ask for a part of one chain, or export from the database")]
    ExportTooLarge,
    /// The license is not installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// There is no request.
    #[error(transparent)]
    Request(#[from] RequestingError),
    /// What is handed on cannot be read, or not be changed.
    #[error(transparent)]
    HandedOn(#[from] HandedOnError),
    /// Terms that name things which this build does not know.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// A window of validity in which there is no instant.
    #[error("`notAfter` is not after `notBefore`")]
    EmptyWindow,
    /// Someone else changed it since it was seen.
    #[error("it was changed meanwhile: its revision is {present} now")]
    ChangedMeanwhile {
        /// The revision that is there.
        present: i64,
    },
    /// A tenant that is not there.
    #[error("there is no tenant `{0}`")]
    NoSuchTenant(TenantId),
    /// A tenant without a subscription.
    #[error("tenant `{0}` has no subscription")]
    NoSubscription(TenantId),
    /// A question about a command that this build does not have.
    #[error("there is no such command")]
    UnknownCommand,
    /// A renewal of nothing.
    #[error("there is no license to renew")]
    NothingToRenew,
}

impl Problem for PlatformError {
    fn code(&self) -> &'static str {
        match self {
            Self::Terms(_) => "unknown_entitlement",
            Self::EmptyWindow => "empty_window",
            Self::ChangedMeanwhile { .. } => "changed_meanwhile",
            Self::NoSuchTenant(_) => "unknown_tenant",
            Self::NoSubscription(_) => "no_subscription",
            Self::UnknownCommand => "unknown_command",
            Self::Audit(AuditError::Broken(_)) => "audit_log_broken",
            Self::Store(_) | Self::Quota(_) | Self::HandedOn(_) | Self::Audit(_) => "internal",
            Self::ExportTooLarge => "export_too_large",
            Self::Install(error) => match error {
                InstallError::NotUsable { .. } => "license_not_usable",
                InstallError::Conflict => "license_changed_meanwhile",
                InstallError::Unenforced | InstallError::NoDatabase | InstallError::NoKey => {
                    "license_not_installable"
                }
                InstallError::Memory(_) | InstallError::Unreachable => "unavailable",
                _ => "internal",
            },
            Self::Request(error) => match error {
                RequestingError::NotConfigured => "recipient_key_not_configured",
                RequestingError::File { .. } | RequestingError::Key { .. } => "recipient_key_unreadable",
                RequestingError::Request(_) => "request_invalid",
                _ => "internal",
            },
            Self::NothingToRenew => "nothing_to_renew",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Terms(_) | Self::EmptyWindow | Self::ExportTooLarge => Category::Validation,
            Self::NoSuchTenant(_) | Self::NoSubscription(_) | Self::UnknownCommand => Category::NotFound,
            Self::Audit(AuditError::Broken(_)) | Self::NothingToRenew | Self::ChangedMeanwhile { .. } => {
                Category::Conflict
            }
            Self::Store(_) | Self::Quota(_) | Self::HandedOn(_) | Self::Audit(_) => Category::Internal,
            Self::Install(error) => match error {
                InstallError::NotUsable { .. } => Category::Validation,
                InstallError::Conflict
                | InstallError::Unenforced
                | InstallError::NoDatabase
                | InstallError::NoKey => Category::Conflict,
                InstallError::Memory(_) | InstallError::Unreachable => Category::Unavailable,
                _ => Category::Internal,
            },
            Self::Request(error) => match error {
                RequestingError::Request(_) => Category::Validation,
                RequestingError::NotConfigured
                | RequestingError::File { .. }
                | RequestingError::Key { .. } => Category::Conflict,
                _ => Category::Internal,
            },
        }
    }
}
