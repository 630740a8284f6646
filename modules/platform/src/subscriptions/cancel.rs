//! `platform.subscriptions.cancel`

use sdk::prelude::*;

use super::{Subscription, SubscriptionStatus, SubscriptionView, set::kept};
use crate::{ENTITLEMENTS_WRITE, Platform, PlatformError};

/// Cancel what a tenant subscribed to. It holds what all inherit from then on, and nothing is denied it any more. What was
/// written down is kept.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.subscriptions.cancel", Platform -> SubscriptionView)]
#[access(permission = ENTITLEMENTS_WRITE)]
#[license(none)]
#[http(DELETE "/api/platform/admin/v1/tenants/{tenantId}/subscription")]
pub struct CancelSubscription {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The revision that was seen. Where there is another one by now, nothing changes.
    pub revision: i64,
}

impl Handle<CancelSubscription> for Platform {
    async fn handle(&self, cx: &Cx, command: CancelSubscription) -> Result<SubscriptionView, PlatformError> {
        let CancelSubscription { tenant_id, revision } = command;
        let found = self.handed_on.subscription(tenant_id).await?;
        let found = found.ok_or(PlatformError::NoSubscription(tenant_id))?;
        let cancelled = Subscription {
            revision,
            status: SubscriptionStatus::Cancelled,
            changed_at: kept(cx.now()),
            changed_by: cx.principal().actor().to_owned(),
            ..found
        };
        self.write(cancelled, cx).await
    }
}
