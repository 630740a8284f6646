//! `tenancy.domains.add`

use sdk::{prelude::*, store::sqlx};

use crate::{
    CUSTOM_DOMAINS, Challenge, DomainKind, DomainName, TENANTS_WRITE, Tenancy, TenancyError, TenantDomain,
    domain, tenant::truncated,
};

/// How many domains a tenant may have.
const MOST: i64 = 100;

/// Give a tenant a domain of its own. It counts once its challenge is met: whoever merely says so has nothing by it, and
/// learns nothing of others who say the same.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.domains.add", Tenancy -> TenantDomain)]
#[access(permission = TENANTS_WRITE)]
#[license(features = [CUSTOM_DOMAINS])]
#[http(POST "/api/platform/admin/v1/tenants/{tenantId}/domains")]
pub struct AddDomain {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// The domain, such as `tenant.example.com`.
    pub domain: DomainName,
}

impl Handle<AddDomain> for Tenancy {
    async fn handle(&self, cx: &Cx, command: AddDomain) -> Result<TenantDomain, TenancyError> {
        let tenant = self.reached(cx, command.tenant_id).await?;
        let ours =
            self.settings.own_hosts.iter().any(|host| host.eq_ignore_ascii_case(command.domain.as_str()));
        let platform = self.settings.platform_domain.as_ref();
        if ours || platform.is_some_and(|platform| command.domain.is_within(platform)) {
            return Err(TenancyError::DomainNotAllowed(command.domain));
        }
        let now = truncated(cx.now());
        let added = TenantDomain {
            tenant_id: tenant.id,
            challenge: Some(Challenge::fresh(&command.domain, cx)),
            domain: command.domain,
            kind: DomainKind::CustomDomain,
            is_primary: false,
            verified_at: None,
            created_at: now,
            updated_at: now,
        };
        let mut work = self.store.begin().await?;
        domain::lock(&mut work, tenant.id).await?;
        let present: i64 =
            sqlx::query_scalar("SELECT CAST(count(*) AS BIGINT) FROM tenancy_domain WHERE tenant = $1")
                .bind(tenant.id.to_string())
                .fetch_one(&mut *work)
                .await?;
        if present >= MOST {
            return Err(TenancyError::TooManyDomains(MOST));
        }
        if !domain::add(&mut work, cx, &added).await? {
            return Err(TenancyError::DomainPresent(added.domain));
        }
        work.commit(cx).await?;
        Ok(added)
    }
}
