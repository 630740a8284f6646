use sdk::{kernel::Fault, prelude::*};
use serde_json::json;

use crate::{Platform, PlatformError};

impl Platform {
    /// Refuses a tenant that is known not to be there. Only a clear no refuses: whoever may not look at tenants, or has no
    /// license to, can still write down what a tenant is to hold.
    pub(crate) async fn existing(&self, cx: &Cx, tenant: TenantId) -> Result<(), PlatformError> {
        let Ok(bus) = self.line.bus() else { return Ok(()) };
        let found = bus.dispatch_json(cx.clone(), "tenancy.tenants.get", json!({ "tenantId": tenant })).await;
        match found {
            Err(Fault::Failed(problem)) if problem.category() == Category::NotFound => {
                Err(PlatformError::NoSuchTenant(tenant))
            }
            _ => Ok(()),
        }
    }
}
