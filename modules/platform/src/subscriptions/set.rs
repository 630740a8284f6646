//! `platform.subscriptions.set`

use jiff::Timestamp;
use sdk::prelude::*;

use super::{Subscription, SubscriptionStatus, SubscriptionView};
use crate::{ENTITLEMENTS_WRITE, Platform, PlatformError, Terms};

/// Set what a tenant holds beyond what all inherit, and what it is denied. In force at once here, and within two seconds
/// on every replica.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.subscriptions.set", Platform -> SubscriptionView)]
#[access(permission = ENTITLEMENTS_WRITE)]
#[license(none)]
#[http(PUT "/api/platform/admin/v1/tenants/{tenantId}/subscription")]
pub struct SetSubscription {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The revision that was seen; 0 where there was no subscription. Where there is another one by now, nothing changes.
    pub revision: i64,
    /// Where it stands; `ACTIVE` when not stated.
    #[serde(default = "active")]
    pub status: SubscriptionStatus,
    /// It counts from this instant; from the beginning when not stated.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// It grants until this instant; without end when not stated.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// What it grants and denies.
    pub terms: Terms,
}

const fn active() -> SubscriptionStatus {
    SubscriptionStatus::Active
}

impl Handle<SetSubscription> for Platform {
    async fn handle(&self, cx: &Cx, command: SetSubscription) -> Result<SubscriptionView, PlatformError> {
        let SetSubscription { tenant_id, revision, status, not_before, not_after, terms } = command;
        terms.check(&self.0.deciding)?;
        // To the microsecond, as the database keeps it.
        let (not_before, not_after) = (not_before.map(kept), not_after.map(kept));
        if not_before.zip(not_after).is_some_and(|(begin, end)| end <= begin) {
            return Err(PlatformError::EmptyWindow);
        }
        self.existing(cx, tenant_id).await?;
        let wanted = Subscription {
            tenant_id,
            revision,
            status,
            not_before,
            not_after,
            terms,
            changed_at: kept(cx.now()),
            changed_by: cx.principal().actor().to_owned(),
        };
        self.write(wanted, cx).await
    }
}

impl Platform {
    pub(super) async fn write(
        &self,
        wanted: Subscription,
        cx: &Cx,
    ) -> Result<SubscriptionView, PlatformError> {
        let set = self.0.handed_on.set_subscription(wanted, cx).await?;
        let set = set.map_err(|conflict| PlatformError::ChangedMeanwhile { present: conflict.present })?;
        Ok(SubscriptionView::of(set, cx.now()))
    }
}

pub(super) fn kept(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}
