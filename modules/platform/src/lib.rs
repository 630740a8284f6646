//! The face of enforcement and audit: license status, coverage, events.
//!
//! Its commands are not licensed. Whoever has no license, or an expired one, must be able to see that and to renew it.

pub mod audit;
pub mod coverage;
pub mod license;

use std::{fmt, sync::Arc};

use pipeline::Deciding;
use sdk::prelude::*;

sdk::catalog!("../catalog.toml");

/// See the license and what it permits.
pub const LICENSE_READ: Permission = Permission::new("license.read");
/// See which commands are covered.
pub const COVERAGE_READ: Permission = Permission::new("coverage.read");
/// See what happened.
pub const AUDIT_READ: Permission = Permission::new("audit.read");

/// The module.
#[derive(Clone)]
pub struct Platform {
    deciding: Arc<Deciding>,
    log: ::audit::AuditLog,
}

impl Platform {
    /// Over what this process decides from, and the log it writes.
    pub const fn new(deciding: Arc<Deciding>, log: ::audit::AuditLog) -> Self {
        Self { deciding, log }
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
}

impl Problem for PlatformError {
    fn code(&self) -> &'static str {
        "internal"
    }

    fn category(&self) -> Category {
        Category::Internal
    }
}
