//! `platform.entitlements.effective`

use pipeline::EffectiveSet;
use sdk::prelude::*;

use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// Show what a tenant holds in the end: baseline and subscription, cut to the license.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.entitlements.effective", Platform -> EffectiveEntitlements)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/entitlements/effective")]
pub struct ShowEffectiveEntitlements {
    /// The tenant; the one on whose behalf the call is made when not stated.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
}

/// What is held in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveEntitlements {
    /// Whose this is; absent for the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// What that is; absent without a license service, where nothing is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveSet>,
}

impl Handle<ShowEffectiveEntitlements> for Platform {
    async fn handle(
        &self,
        cx: &Cx,
        command: ShowEffectiveEntitlements,
    ) -> Result<EffectiveEntitlements, PlatformError> {
        let tenant_id = command.tenant_id.or(cx.tenant());
        Ok(EffectiveEntitlements { tenant_id, effective: self.deciding.effective(tenant_id) })
    }
}
