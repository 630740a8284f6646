//! `tenancy.domains.list`

use sdk::{prelude::*, store::sqlx};

use crate::{TENANTS_READ, Tenancy, TenancyError, TenantDomain, domain};

/// List the domains of a tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.domains.list", Tenancy -> TenantDomains)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants/{tenantId}/domains")]
pub struct ListDomains {
    /// The tenant's id.
    pub tenant_id: TenantId,
}

/// The domains of a tenant.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantDomains {
    /// All of them, by name.
    pub domains: Vec<TenantDomain>,
}

impl Handle<ListDomains> for Tenancy {
    async fn handle(&self, cx: &Cx, command: ListDomains) -> Result<TenantDomains, TenancyError> {
        let tenant = self.reached(cx, command.tenant_id).await?;
        let rows = sqlx::query("SELECT * FROM tenancy_domain WHERE tenant = $1 ORDER BY domain")
            .bind(tenant.id.to_string())
            .fetch_all(self.store.reader())
            .await?;
        Ok(TenantDomains { domains: rows.iter().map(domain::read).collect::<Result<_, _>>()? })
    }
}
