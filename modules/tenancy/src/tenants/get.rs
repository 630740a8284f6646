//! `tenancy.tenants.get`

use sdk::prelude::*;

use crate::{TENANTS_READ, Tenancy, TenancyError, Tenant};

/// Show a tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.tenants.get", Tenancy -> Tenant)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants/{tenantId}")]
pub struct GetTenant {
    /// Its id.
    pub tenant_id: TenantId,
}

impl Handle<GetTenant> for Tenancy {
    async fn handle(&self, cx: &Cx, command: GetTenant) -> Result<Tenant, TenancyError> {
        self.reached(cx, command.tenant_id).await
    }
}
