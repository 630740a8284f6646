//! `tenancy.domains.remove`

use sdk::{prelude::*, store::sqlx};

use crate::{DomainKind, DomainName, TENANTS_WRITE, Tenancy, TenancyError, TenantDomain, domain};

/// Take a domain from a tenant. Where it was the primary one, the subdomain of the platform is it again.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.domains.remove", Tenancy -> TenantDomain)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[http(DELETE "/api/platform/admin/v1/tenants/{tenantId}/domains/{domain}")]
pub struct RemoveDomain {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// The domain.
    pub domain: DomainName,
}

impl Handle<RemoveDomain> for Tenancy {
    async fn handle(&self, cx: &Cx, command: RemoveDomain) -> Result<TenantDomain, TenancyError> {
        let tenant = self.reached(cx, command.tenant_id).await?;
        let mut work = self.store.begin().await?;
        domain::lock(&mut work, tenant.id).await?;
        let found = domain::find(&mut *work, tenant.id, &command.domain).await?;
        if found.kind == DomainKind::PlatformSubdomain {
            return Err(TenancyError::SubdomainStays(found.domain));
        }
        sqlx::query("DELETE FROM tenancy_domain WHERE tenant = $1 AND domain = $2")
            .bind(tenant.id.to_string())
            .bind(found.domain.as_str())
            .execute(&mut *work)
            .await?;
        if found.is_primary {
            sqlx::query(
                "UPDATE tenancy_domain SET is_primary = 1, updated_at = $2
                 WHERE tenant = $1 AND kind = 'PLATFORM_SUBDOMAIN'",
            )
            .bind(tenant.id.to_string())
            .bind(cx.now().as_microsecond())
            .execute(&mut *work)
            .await?;
        }
        work.commit(cx).await?;
        Ok(found)
    }
}
