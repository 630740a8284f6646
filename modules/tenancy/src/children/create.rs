//! `tenancy.children.create`

use sdk::prelude::*;

use crate::{
    ONBOARDING, SUBTENANTS, Slug, TENANTS_WRITE, Tenancy, TenancyError, Tenant,
    tenant::{Registration, find, register},
};

/// Register a tenant beneath another.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.children.create", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE)]
#[license(features = [SUBTENANTS])]
#[guard(ONBOARDING)]
#[http(POST "/api/platform/admin/v1/tenants/{parent}/children")]
pub struct CreateChild {
    /// The slug of the tenant it will stand beneath.
    pub parent: Slug,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people; the slug when not stated.
    #[serde(default)]
    pub name: Option<String>,
}

impl Handle<CreateChild> for Tenancy {
    async fn handle(&self, cx: &Cx, command: CreateChild) -> Result<Tenant, TenancyError> {
        let mut work = self.store.begin().await?;
        let parent = find(&mut *work, &command.parent)
            .await?
            .ok_or_else(|| TenancyError::NoSuchTenant(command.parent.into()))?;
        let wanted =
            Registration { slug: command.slug, name: command.name, parent: Some(parent.id), system: false };
        let tenant = register(&mut work, cx.ambient(), wanted).await?;
        work.commit().await?;
        Ok(tenant)
    }
}
