//! What single tenants hold beyond what all inherit, and what they are denied.

pub mod cancel;
pub mod list;
pub mod preview;
pub mod set;
pub mod show;

use jiff::Timestamp;
use sdk::prelude::*;

use crate::{Terms, handed_on::Force};

/// What a tenant subscribed to, as it was written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Which state of it this is; who changes it says which one was seen.
    pub revision: i64,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// It counts from this instant; from the beginning when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It grants until this instant; without end when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// What it grants and denies.
    pub terms: Terms,
    /// When it was changed.
    pub changed_at: Timestamp,
    /// Who changed it.
    pub changed_by: String,
}

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubscriptionStatus {
    /// It grants and denies, inside its window.
    Active,
    /// It grants nothing; what it denies stays denied.
    Suspended,
    /// The same, for good.
    Expired,
    /// It counts for nothing.
    Cancelled,
}

impl SubscriptionStatus {
    /// As every surface spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Active, Self::Suspended, Self::Expired, Self::Cancelled];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// A subscription, and whether it counts now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: Subscription,
    /// Whether what it grants counts now: it is active, and inside its window.
    pub in_force: bool,
}

impl SubscriptionView {
    pub(crate) fn of(subscription: Subscription, now: Timestamp) -> Self {
        let in_force = subscription.force(now) == Force::Whole;
        Self { subscription, in_force }
    }
}
