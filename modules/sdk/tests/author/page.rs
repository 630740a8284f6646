// The author's page of the architecture, as written there.
use chancery_sdk as sdk;
use sdk::prelude::*;

/// Register a tenant, optionally beneath a parent.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("tenancy.tenants.create", Tenancy -> Tenant)]
#[access(permission = TENANTS_WRITE, aal = 2)]
#[license(features = [SUBTENANTS], quotas = [TENANTS_TOTAL], cost = 5, when = [PRODUCTION])]
#[http(POST "/api/platform/admin/v1/tenants")]
pub struct CreateTenant {
    pub slug: Slug,
    pub parent: Option<TenantId>,
}

impl Handle<CreateTenant> for Tenancy {
    async fn handle(&self, cx: &Cx, command: CreateTenant) -> Result<Tenant, TenancyError> {
        if command.slug.is_empty() {
            return Err(TenancyError);
        }
        Ok(Tenant { id: TenantId(cx.uuid()), slug: command.slug, parent: command.parent })
    }
}

pub struct Tenancy;

impl Module for Tenancy {
    const NAME: &'static str = "tenancy";
    const PRODUCT: &'static str = "chancery";
    type Error = TenancyError;
}

pub type Slug = String;

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: Slug,
    pub parent: Option<TenantId>,
}

#[derive(Debug)]
pub struct TenancyError;

impl std::fmt::Display for TenancyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the slug is empty")
    }
}

impl std::error::Error for TenancyError {}

impl Problem for TenancyError {
    fn code(&self) -> &'static str {
        "empty_slug"
    }

    fn category(&self) -> Category {
        Category::Validation
    }
}

pub const TENANTS_WRITE: Permission = Permission::new("tenants.write");
pub const SUBTENANTS: FeatureKey<'_> = FeatureKey::literal("tenancy.subtenants.v1");
pub const TENANTS_TOTAL: Quota<'_> = Quota::cardinality("tenants.total.max");

pub fn main() {}
