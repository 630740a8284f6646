//! `tenancy.tenants.get`

use sdk::prelude::*;

use crate::{Slug, TENANTS_READ, Tenancy, TenancyError, Tenant, tenant::find};

/// Show a tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.tenants.get", Tenancy -> Tenant)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants/{slug}")]
pub struct GetTenant {
    /// Its name in addresses.
    pub slug: Slug,
}

impl Handle<GetTenant> for Tenancy {
    async fn handle(&self, _cx: &Cx, command: GetTenant) -> Result<Tenant, TenancyError> {
        let found = find(self.store.reader(), &command.slug).await?;
        found.ok_or_else(|| TenancyError::NoSuchTenant(command.slug.into()))
    }
}
