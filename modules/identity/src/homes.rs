use std::{fmt, sync::Arc};

use sdk::prelude::*;

use crate::{Identity, IdentityError};

/// Knows the tenants that operators belong to.
pub trait Homes: Send + Sync + 'static {
    /// Whether there is such a tenant, and it may act: not one that was deleted or suspended.
    fn may_act(&self, tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>>;
}

/// Those who know.
#[derive(Clone)]
pub(crate) struct Known(pub(crate) Arc<dyn Homes>);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

impl Identity {
    /// Whether operators of this tenant may do anything. Those of the platform always may.
    pub(crate) async fn is_home(&self, tenant: TenantId) -> Result<bool, IdentityError> {
        Ok(tenant == self.application || self.homes.0.may_act(tenant).await?)
    }
}
