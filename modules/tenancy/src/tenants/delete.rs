//! `tenancy.tenants.delete`

use sdk::{prelude::*, store::sqlx};

use crate::{TENANTS_WRITE, Tenancy, TenancyError, Tenant, TenantStatus, tree};

/// Delete a tenant that no tenant stands beneath. It no longer counts; its slug stays taken.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.tenants.delete", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[http(DELETE "/api/platform/admin/v1/tenants/{tenantId}")]
pub struct DeleteTenant {
    /// Its id.
    pub tenant_id: TenantId,
}

impl Handle<DeleteTenant> for Tenancy {
    async fn handle(&self, cx: &Cx, command: DeleteTenant) -> Result<Tenant, TenancyError> {
        self.for_operators(cx)?;
        let found = self.reached(cx, command.tenant_id).await?;
        if found.status == TenantStatus::PendingVerification {
            return Err(TenancyError::StillRegistering(found.id));
        }
        let mut work = self.store.begin().await?;
        let deleted = tree::delete(&mut work, cx, found).await?;
        // Its domains may be proved to be another's now.
        sqlx::query("DELETE FROM tenancy_domain WHERE tenant = $1")
            .bind(deleted.id.to_string())
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(deleted)
    }
}
