//! `tenancy.tenants.register`

use sdk::{kernel::Fault, prelude::*};

use crate::{
    Slug, Source, Tenancy, TenancyError, Tenant, TenantStatus, Text, children::create::CreateChild,
    tenants::create::CreateTenant,
};

/// Register a tenant for the sign-up and the quickstart, through the command that operators use: so its license, quotas and
/// policy apply. Called again with the same id, it answers with the tenant that it has registered.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.tenants.register", Tenancy -> Tenant)]
#[access(internal)]
#[license(internal_system)]
pub struct RegisterTenant {
    /// The id it will have, which nobody else may choose; a fresh one when not stated.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
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
        let RegisterTenant { tenant_id: id, slug, name, parent_tenant_id, source } = command;
        let bus = self.settings.line.bus().map_err(|refusal| TenancyError::Refused(Box::new(refusal)))?;
        let (description, tenant_type, source) = (None, None, Some(source));
        let registered = match parent_tenant_id {
            None => {
                let root = CreateTenant { slug, name, description, tenant_type, source, id };
                bus.dispatch(cx.clone(), root).await
            }
            Some(tenant_id) => {
                let child = CreateChild { tenant_id, slug, name, description, tenant_type, source, id };
                bus.dispatch(cx.clone(), child).await
            }
        };
        let error = match registered {
            Ok(tenant) => return Ok(tenant),
            Err(Fault::Failed(error)) => error,
            Err(Fault::Refused(refusal)) => TenancyError::Refused(refusal),
            Err(
                Fault::Unknown(_)
                | Fault::Input(_)
                | Fault::DeadlineExceeded
                | Fault::Panicked
                | Fault::Internal(_),
            ) => TenancyError::Interrupted,
        };
        // A call that died may have registered it: then the slug is its own, and the place it took as well.
        let Some(id) = id else { return Err(error) };
        match self.by_id(id).await? {
            Some(tenant) if tenant.status == TenantStatus::PendingVerification => {
                Err(TenancyError::Interrupted)
            }
            Some(tenant) => Ok(tenant),
            None => Err(error),
        }
    }
}
