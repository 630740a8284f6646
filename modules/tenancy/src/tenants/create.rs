//! `tenancy.tenants.create`

use sdk::prelude::*;

use crate::{
    ONBOARDING, Slug, TENANTS_WRITE, Tenancy, TenancyError, Tenant,
    tenant::{Registration, register},
};

/// Register a root tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.tenants.create", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[guard(ONBOARDING)]
#[http(POST "/api/platform/admin/v1/tenants")]
pub struct CreateTenant {
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people; the slug when not stated.
    #[serde(default)]
    pub name: Option<String>,
}

impl Handle<CreateTenant> for Tenancy {
    async fn handle(&self, cx: &Cx, command: CreateTenant) -> Result<Tenant, TenancyError> {
        let mut work = self.store.begin().await?;
        let wanted = Registration { slug: command.slug, name: command.name, parent: None, system: false };
        let tenant = register(&mut work, cx.ambient(), wanted).await?;
        work.commit().await?;
        Ok(tenant)
    }
}
