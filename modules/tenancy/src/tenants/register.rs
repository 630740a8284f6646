//! `tenancy.tenants.register`

use sdk::{kernel::Fault, prelude::*};

use crate::{
    Slug, Source, Tenancy, TenancyError, Tenant, Text, children::create::CreateChild,
    tenants::create::CreateTenant,
};

/// Register a tenant for the signup or the setup, through the command that operators use: so its license, quotas and
/// policy apply.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.tenants.register", Tenancy -> Tenant)]
#[access(internal)]
#[license(internal_system)]
pub struct RegisterTenant {
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people; the slug when not stated.
    #[serde(default)]
    pub name: Option<Text<200>>,
    /// The tenant it will stand beneath; none for a root tenant.
    #[serde(default)]
    pub parent_tenant_id: Option<TenantId>,
    /// On whose wish.
    pub source: Source,
}

impl Handle<RegisterTenant> for Tenancy {
    async fn handle(&self, cx: &Cx, command: RegisterTenant) -> Result<Tenant, TenancyError> {
        let RegisterTenant { slug, name, parent_tenant_id, source } = command;
        let bus = self.settings.line.bus().map_err(|refusal| TenancyError::Refused(Box::new(refusal)))?;
        let (description, tenant_type, source) = (None, None, Some(source));
        let registered = match parent_tenant_id {
            None => {
                let root = CreateTenant { slug, name, description, tenant_type, source };
                bus.dispatch(cx.clone(), root).await
            }
            Some(tenant_id) => {
                let child = CreateChild { tenant_id, slug, name, description, tenant_type, source };
                bus.dispatch(cx.clone(), child).await
            }
        };
        registered.map_err(|fault| match fault {
            Fault::Failed(error) => error,
            Fault::Refused(refusal) => TenancyError::Refused(refusal),
            Fault::Unknown(_)
            | Fault::Input(_)
            | Fault::DeadlineExceeded
            | Fault::Panicked
            | Fault::Internal(_) => TenancyError::Interrupted,
        })
    }
}
