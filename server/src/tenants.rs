//! The tenants, as other modules ask for them without a command.

use kernel::TenantId;
use sdk::prelude::BoxFuture;
use store::StoreError;
use tenancy::{Tenancy, TenancyError, Tenant, TenantStatus};

/// Looks tenants up.
pub(crate) struct Lookup(pub(crate) Tenancy);

impl Lookup {
    async fn find(&self, tenant: TenantId) -> Result<Option<Tenant>, StoreError> {
        match self.0.by_id(tenant).await {
            Ok(found) => Ok(found),
            Err(TenancyError::Store(error)) => Err(error),
            // Nothing else keeps a row from being read, and nobody is let in by what is not understood.
            Err(_) => Ok(None),
        }
    }
}

impl identity::Homes for Lookup {
    fn may_act(&self, tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            Ok(self.find(tenant).await?.is_some_and(|tenant| tenant.status == TenantStatus::Active))
        })
    }
}

impl platform::Tenants for Lookup {
    fn exists(&self, tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.find(tenant).await?.is_some()) })
    }
}
