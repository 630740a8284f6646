use sdk::prelude::*;

use crate::{Platform, PlatformError};

/// Knows the tenants. It is no command: what a tenant may hold is written down without a license to look at tenants, and
/// the audit tells of one call.
pub trait Tenants: Send + Sync + 'static {
    /// Whether there is such a tenant.
    fn exists(&self, tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>>;
}

impl Platform {
    /// Refuses a tenant that is not there.
    pub(crate) async fn existing(&self, tenant: TenantId) -> Result<(), PlatformError> {
        if self.0.tenants.exists(tenant).await? { Ok(()) } else { Err(PlatformError::NoSuchTenant(tenant)) }
    }
}
