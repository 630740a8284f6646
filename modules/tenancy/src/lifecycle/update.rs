//! `tenancy.lifecycle.update`

use sdk::{prelude::*, store::sqlx};

use crate::{TENANTS_WRITE, Tenancy, TenancyError, Tenant, TenantStatus, tenant::truncated};

/// Suspend a tenant, or let it act again.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.lifecycle.update", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[http(PATCH "/api/platform/admin/v1/tenants/{tenantId}/lifecycle/status")]
pub struct UpdateStatus {
    /// Its id.
    pub tenant_id: TenantId,
    /// What it will be.
    pub status: SettableStatus,
}

/// What an operator may make of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SettableStatus {
    /// It may act.
    Active,
    /// It may not.
    Suspended,
}

impl Handle<UpdateStatus> for Tenancy {
    async fn handle(&self, cx: &Cx, command: UpdateStatus) -> Result<Tenant, TenancyError> {
        self.for_operators(cx)?;
        let found = self.reached(cx, command.tenant_id).await?;
        let status = match command.status {
            SettableStatus::Active => TenantStatus::Active,
            SettableStatus::Suspended => TenantStatus::Suspended,
        };
        let now = truncated(cx.now());
        let mut work = self.store.begin().await?;
        let changed = sqlx::query(
            "UPDATE tenancy_tenant SET status = $2, updated_at = $3, updated_by = $4
             WHERE id = $1 AND system = 0 AND deleted_at IS NULL AND status <> 'PENDING_VERIFICATION'",
        )
        .bind(found.id.to_string())
        .bind(status.as_str())
        .bind(now.as_microsecond())
        .bind(cx.principal().actor())
        .execute(&mut *work)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(TenancyError::StillRegistering(found.id));
        }
        work.commit(cx).await?;
        Ok(Tenant { status, updated_at: now, updated_by: cx.principal().actor().to_owned(), ..found })
    }
}
