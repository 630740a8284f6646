use sdk::{kernel::Fault, prelude::*};
use serde_json::json;

use crate::{Platform, PlatformError};

impl Platform {
    /// Refuses a tenant that is known not to be there. Only a clear no refuses: whoever may not look at tenants, or has no
    /// license to, can still write down what a tenant is to hold.
    pub(crate) async fn existing(&self, cx: &Cx, tenant: TenantId) -> Result<(), PlatformError> {
        let Ok(bus) = self.line.bus() else { return Ok(()) };
        let found = bus.dispatch_json(asking(cx), "tenancy.tenants.get", json!({ "tenantId": tenant })).await;
        match found {
            Err(Fault::Failed(problem)) if problem.category() == Category::NotFound => {
                Err(PlatformError::NoSuchTenant(tenant))
            }
            _ => Ok(()),
        }
    }
}

/// The same call without its idempotency key, which is of what it asks for and not of this.
fn asking(cx: &Cx) -> Cx {
    let mut asking =
        Cx::new(cx.ambient().clone(), cx.principal().clone()).with_correlation(cx.correlation().clone());
    if let Some(tenant) = cx.tenant() {
        asking = asking.with_tenant(tenant);
    }
    if let Some(trace) = cx.trace() {
        asking = asking.with_trace(trace);
    }
    if let Some(deadline) = cx.deadline() {
        asking = asking.with_deadline(deadline);
    }
    asking
}
