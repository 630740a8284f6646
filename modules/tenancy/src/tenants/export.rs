//! `tenancy.tenants.export`

use jiff::Timestamp;
use sdk::{prelude::*, store::sqlx};

use crate::{EXPORTS, TENANTS_READ, Tenancy, TenancyError, Tenant, tenant::read};

/// Export the whole tenant register.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.tenants.export", Tenancy -> TenantRegister)]
#[access(permission = TENANTS_READ)]
#[license(quotas = [EXPORTS])]
#[http(POST "/api/platform/admin/v1/tenants/export")]
pub struct ExportTenants {}

/// Every customer tenant at one instant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantRegister {
    /// When it was taken.
    pub exported_at: Timestamp,
    /// The tenants, by slug.
    pub tenants: Vec<Tenant>,
}

impl Handle<ExportTenants> for Tenancy {
    async fn handle(&self, cx: &Cx, _command: ExportTenants) -> Result<TenantRegister, TenancyError> {
        self.for_operators(cx)?;
        let rows =
            sqlx::query("SELECT * FROM tenancy_tenant WHERE system = 0 AND deleted_at IS NULL ORDER BY slug")
                .fetch_all(self.store.reader())
                .await?;
        let tenants = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(TenantRegister { exported_at: cx.now(), tenants })
    }
}
