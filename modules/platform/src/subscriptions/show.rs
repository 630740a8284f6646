//! `platform.subscriptions.show`

use sdk::prelude::*;

use super::SubscriptionView;
use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// Show what a tenant subscribed to.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.subscriptions.show", Platform -> SubscriptionView)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/tenants/{tenantId}/subscription")]
pub struct ShowSubscription {
    /// The tenant.
    pub tenant_id: TenantId,
}

impl Handle<ShowSubscription> for Platform {
    async fn handle(&self, cx: &Cx, command: ShowSubscription) -> Result<SubscriptionView, PlatformError> {
        let found = self.handed_on.subscription(command.tenant_id).await?;
        let found = found.ok_or(PlatformError::NoSubscription(command.tenant_id))?;
        Ok(SubscriptionView::of(found, cx.now()))
    }
}
