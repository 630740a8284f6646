//! `tenancy.domains.prefer`

use sdk::{prelude::*, store::sqlx};

use crate::{DomainName, TENANTS_WRITE, Tenancy, TenancyError, TenantDomain, domain, tenant::truncated};

/// Make a verified domain the primary one, with which links to the tenant are made.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.domains.prefer", Tenancy -> TenantDomain)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[http(POST "/api/platform/admin/v1/tenants/{tenantId}/domains/{domain}/primary")]
pub struct PreferDomain {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// The domain.
    pub domain: DomainName,
}

impl Handle<PreferDomain> for Tenancy {
    async fn handle(&self, cx: &Cx, command: PreferDomain) -> Result<TenantDomain, TenancyError> {
        let tenant = self.reached(cx, command.tenant_id).await?;
        let now = truncated(cx.now());
        let mut work = self.store.begin().await?;
        domain::lock(&mut work, tenant.id).await?;
        let found = domain::find(&mut *work, tenant.id, &command.domain).await?;
        if found.verified_at.is_none() {
            return Err(TenancyError::NotVerified(found.domain));
        }
        for statement in [
            "UPDATE tenancy_domain SET is_primary = 0, updated_at = $3
             WHERE tenant = $1 AND domain <> $2 AND is_primary = 1",
            "UPDATE tenancy_domain SET is_primary = 1, updated_at = $3 WHERE tenant = $1 AND domain = $2",
        ] {
            sqlx::query(statement)
                .bind(tenant.id.to_string())
                .bind(found.domain.as_str())
                .bind(now.as_microsecond())
                .execute(&mut *work)
                .await?;
        }
        work.commit(cx).await?;
        Ok(TenantDomain { is_primary: true, updated_at: now, ..found })
    }
}
