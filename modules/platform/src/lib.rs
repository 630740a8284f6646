//! The face of enforcement and audit: license status, coverage, events.
//!
//! Its commands are not licensed. Whoever has no license, or an expired one, must be able to see that and to renew it.

pub mod audit;
pub mod coverage;
pub mod license;
pub mod license_request;

use std::{fmt, sync::Arc};

use ::audit::AuditError;
use ::license::{InstallError, RequestDesk, RequestingError};
use ::quota::{MeteredStore, QuotaError};
use pipeline::Deciding;
use sdk::prelude::*;

sdk::catalog!("../catalog.toml");

/// See the license and what it permits.
pub const LICENSE_READ: Permission = Permission::new("license.read");
/// Ask for a license, and install one.
pub const LICENSE_WRITE: Permission = Permission::new("license.write");
/// See which commands are covered.
pub const COVERAGE_READ: Permission = Permission::new("coverage.read");
/// See what happened.
pub const AUDIT_READ: Permission = Permission::new("audit.read");

/// The module.
#[derive(Clone)]
pub struct Platform {
    deciding: Arc<Deciding>,
    log: ::audit::AuditLog,
    desk: RequestDesk,
    quotas: Arc<dyn MeteredStore>,
}

impl Platform {
    /// Over what this process decides from, the log it writes, the desk where licenses are asked for, and what is counted.
    pub const fn new(
        deciding: Arc<Deciding>,
        log: ::audit::AuditLog,
        desk: RequestDesk,
        quotas: Arc<dyn MeteredStore>,
    ) -> Self {
        Self { deciding, log, desk, quotas }
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
    /// A renewal of nothing.
    #[error("there is no license to renew")]
    NothingToRenew,
}

impl Problem for PlatformError {
    fn code(&self) -> &'static str {
        match self {
            Self::Audit(AuditError::Broken(_)) => "audit_log_broken",
            Self::Store(_) | Self::Quota(_) | Self::Audit(_) => "internal",
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
            Self::ExportTooLarge => Category::Validation,
            Self::Audit(AuditError::Broken(_)) | Self::NothingToRenew => Category::Conflict,
            Self::Store(_) | Self::Quota(_) | Self::Audit(_) => Category::Internal,
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
