//! `tenancy.domains.verify`

use sdk::{prelude::*, store::sqlx};

use crate::{
    CUSTOM_DOMAINS, DomainName, TENANTS_WRITE, Tenancy, TenancyError, TenantDomain, domain, tenant::truncated,
};

/// Look whether the challenge of a domain is met. If so, requests to the domain are for the tenant from now on.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.domains.verify", Tenancy -> TenantDomain)]
#[access(permission = TENANTS_WRITE)]
#[license(features = [CUSTOM_DOMAINS])]
#[http(POST "/api/platform/admin/v1/tenants/{tenantId}/domains/{domain}/verify")]
pub struct VerifyDomain {
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// The domain.
    pub domain: DomainName,
}

impl Handle<VerifyDomain> for Tenancy {
    async fn handle(&self, cx: &Cx, command: VerifyDomain) -> Result<TenantDomain, TenancyError> {
        let tenant = self.reached(cx, command.tenant_id).await?;
        let found = domain::find(self.store.reader(), tenant.id, &command.domain).await?;
        let Some(challenge) = found.challenge else { return Ok(found) };
        let texts = self.settings.txt.lookup(&challenge.name).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the records of a domain were not looked up"
            );
            TenancyError::NameServers(challenge.name.clone())
        })?;
        if !texts.contains(&challenge.value) {
            return Err(TenancyError::ChallengeNotMet { name: challenge.name });
        }
        let now = truncated(cx.now());
        let mut work = self.store.begin().await?;
        domain::lock(&mut work, tenant.id).await?;
        let verified = sqlx::query(
            "UPDATE tenancy_domain SET verified_at = $4, updated_at = $4
             WHERE tenant = $1 AND domain = $2 AND challenge = $3 AND verified_at IS NULL",
        )
        .bind(tenant.id.to_string())
        .bind(found.domain.as_str())
        .bind(&challenge.value)
        .bind(now.as_microsecond())
        .execute(&mut *work)
        .await;
        match verified.map_err(StoreError::from) {
            Err(error) if error.is_unique_violation() => return Err(TenancyError::DomainTaken(found.domain)),
            Err(error) => return Err(error.into()),
            // Removed meanwhile, or verified by another call.
            Ok(verified) if verified.rows_affected() == 0 => {
                return domain::find(&mut *work, tenant.id, &found.domain).await;
            }
            Ok(_) => work.commit(cx).await?,
        }
        Ok(TenantDomain { verified_at: Some(now), updated_at: now, challenge: None, ..found })
    }
}
