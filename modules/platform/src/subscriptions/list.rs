//! `platform.subscriptions.list`

use sdk::prelude::*;

use super::SubscriptionView;
use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// List subscriptions by tenant, a page at a time.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.subscriptions.list", Platform -> SubscriptionPage)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/entitlements/subscriptions")]
pub struct ListSubscriptions {
    /// Only that of this tenant.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<TenantId>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

/// Some subscriptions, in the order of their tenants' ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionPage {
    /// At most as many as were asked for.
    pub subscriptions: Vec<SubscriptionView>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TenantId>,
}

impl Handle<ListSubscriptions> for Platform {
    async fn handle(&self, cx: &Cx, command: ListSubscriptions) -> Result<SubscriptionPage, PlatformError> {
        if let Some(tenant) = command.tenant_id {
            let found = self.0.handed_on.subscription(tenant).await?;
            let subscriptions = found.into_iter().map(|it| SubscriptionView::of(it, cx.now())).collect();
            return Ok(SubscriptionPage { subscriptions, next: None });
        }
        let limit = command.limit.unwrap_or(50).clamp(1, 200) as usize;
        // One more than asked for tells whether there is another page.
        let mut found = self.0.handed_on.subscriptions(command.after, limit + 1).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.tenant_id);
        let subscriptions = found.into_iter().map(|it| SubscriptionView::of(it, cx.now())).collect();
        Ok(SubscriptionPage { subscriptions, next })
    }
}
