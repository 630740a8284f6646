//! `tenancy.children.create`

use sdk::prelude::*;

use crate::{
    ONBOARDING, SUBTENANTS, Slug, Source, TENANT_DEPTH, TENANTS_WRITE, TOTAL_TENANTS, Tenancy, TenancyError,
    Tenant, Text,
    registration::{Wanted, source},
};

/// Register a tenant beneath another.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.children.create", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE)]
#[license(features = [SUBTENANTS], quotas = [TOTAL_TENANTS, TENANT_DEPTH])]
#[guard(ONBOARDING)]
#[http(POST "/api/platform/admin/v1/tenants/{tenantId}/children")]
pub struct CreateChild {
    /// The id of the tenant it will stand beneath.
    pub tenant_id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people; the slug when not stated.
    #[serde(default)]
    pub name: Option<Text<200>>,
    /// More about it, for people.
    #[serde(default)]
    pub description: Option<Text<2000>>,
    /// What kind of tenant its owner calls it; `organization` when not stated.
    #[serde(default)]
    pub tenant_type: Option<Slug>,
    /// Who asks, where the process itself calls. No body can say it.
    #[serde(skip)]
    pub source: Option<Source>,
    /// Its id, where the process itself calls and has one for it. No body can say it.
    #[serde(skip)]
    pub id: Option<TenantId>,
}

impl Handle<CreateChild> for Tenancy {
    async fn handle(&self, cx: &Cx, command: CreateChild) -> Result<Tenant, TenancyError> {
        let wanted = Wanted {
            id: command.id,
            slug: command.slug,
            tenant_type: command.tenant_type,
            name: command.name,
            description: command.description,
            parent: Some(command.tenant_id),
            source: source(cx, command.source),
        };
        self.register(cx, wanted).await
    }
}
