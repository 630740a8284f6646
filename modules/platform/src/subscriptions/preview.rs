//! `platform.subscriptions.preview`

use pipeline::SubscriptionPreview;
use sdk::prelude::*;

use crate::{ENTITLEMENTS_READ, Platform, PlatformError, Terms};

/// Show what a tenant would hold, and which commands would be decided otherwise, while a subscription of these terms is in
/// force. Nothing changes.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.subscriptions.preview", Platform -> SubscriptionPreview)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(POST "/api/platform/admin/v1/tenants/{tenantId}/subscription/preview")]
pub struct PreviewSubscription {
    /// The tenant.
    pub tenant_id: TenantId,
    /// What it would grant and deny.
    pub terms: Terms,
}

impl Handle<PreviewSubscription> for Platform {
    async fn handle(
        &self,
        _cx: &Cx,
        command: PreviewSubscription,
    ) -> Result<SubscriptionPreview, PlatformError> {
        command.terms.check(&self.deciding)?;
        Ok(self.deciding.preview(command.tenant_id, &command.terms.grant()))
    }
}
