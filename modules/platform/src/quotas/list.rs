//! `platform.quotas.list`

use pipeline::QuotaView;
use sdk::prelude::*;

use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// List how far each quota is used, by the platform and by a tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.quotas.list", Platform -> QuotaList)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/quotas")]
pub struct ListQuotas {
    /// The tenant; the one on whose behalf the call is made when not stated.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
}

/// Every quota of the catalog, by key: the platform's, then the tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaList {
    /// Whose quotas are listed beside the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The quotas.
    pub quotas: Vec<QuotaView>,
}

impl Handle<ListQuotas> for Platform {
    async fn handle(&self, cx: &Cx, command: ListQuotas) -> Result<QuotaList, PlatformError> {
        let tenant_id = command.tenant_id.or(cx.tenant());
        let quotas = self.deciding.quotas(tenant_id, &self.counters, cx.now()).await?;
        Ok(QuotaList { tenant_id, quotas })
    }
}
