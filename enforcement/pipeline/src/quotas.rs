//! How far the quotas of the catalog are used, by the platform and by one tenant (semantics 5.6).

use std::{fmt, sync::Arc};

use descriptors::{
    catalog::QuotaDefinition,
    descriptor::{QuotaKey, QuotaKind},
};
use jiff::Timestamp;
use kernel::TenantId;
use quota::{CardinalityStore, Limit, MeteredStore, Period, Projection, QuotaError, Windows};
use resolver::Described;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Deciding;

/// One quota of the platform, or of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaView {
    /// Its key.
    pub quota_key: String,
    /// Whether it counts units or things.
    pub kind: QuotaKind,
    /// Whose it is.
    pub scope: QuotaScope,
    /// Units, or things, that there may be; absent without a license service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Units that are charged, or things that exist; absent where nothing counts them, or only a command could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Units, or places, of calls that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u64>,
    /// The period after which the count of units begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// When the present window began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_start: Option<Timestamp>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_end: Option<Timestamp>,
    /// Nothing more is admitted at the moment.
    pub at_cap: bool,
    /// When the limit is reached if use goes on as it did since the window began; absent where that is not within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_out_at: Option<Timestamp>,
}

/// Whose a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuotaScope {
    /// The whole platform's.
    Platform,
    /// One tenant's.
    Tenant,
}

/// Where quotas are counted.
#[derive(Clone)]
pub struct Counters {
    /// Units.
    pub metered: Arc<dyn MeteredStore>,
    /// Live things.
    pub cardinality: Arc<dyn CardinalityStore>,
    /// Where windows begin.
    pub windows: Windows,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl Deciding {
    /// Every quota of the catalog, by key: the platform's, and with it the tenant's where one is named. Reads only.
    pub async fn quotas(
        &self,
        tenant: Option<TenantId>,
        counters: &Counters,
        now: Timestamp,
    ) -> Result<Vec<QuotaView>, QuotaError> {
        let mut views = Vec::new();
        for definition in self.catalog().quotas() {
            views.push(self.quota(definition, None, counters, now).await?);
            if let Some(tenant) = tenant {
                views.push(self.quota(definition, Some(tenant), counters, now).await?);
            }
        }
        Ok(views)
    }

    async fn quota(
        &self,
        definition: &QuotaDefinition,
        tenant: Option<TenantId>,
        counters: &Counters,
        now: Timestamp,
    ) -> Result<QuotaView, QuotaError> {
        let limit = self.limit(&definition.key, tenant);
        let (most, id) = (limit.unwrap_or(u64::MAX), tenant.map(|tenant| tenant.to_string()));
        let id = id.as_deref();
        let projection = match definition.kind {
            QuotaKind::Metered => {
                let period = definition.window.and_then(|span| Period::try_from(span).ok());
                let anchor = self.license().snapshot().anchor();
                match period.and_then(|period| counters.windows.at(period, anchor, now).ok()) {
                    // A window that is none lets nobody in, so nothing is used in it.
                    None => None,
                    Some(window) => {
                        let asked = [Limit { quota: &definition.key, limit: most, window }];
                        counters.metered.projection(id, &asked, now).await?.pop()
                    }
                }
            }
            QuotaKind::Cardinality => {
                let asked = [(definition.key.as_str(), most)];
                match counters.cardinality.projection(id, &asked, now).await {
                    Ok(mut projections) => projections.pop(),
                    Err(QuotaError::Uncounted { .. }) => None,
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(view(definition, tenant.is_some(), limit, projection))
    }

    /// What there may be; absent without a license service.
    fn limit(&self, quota: &str, tenant: Option<TenantId>) -> Option<u64> {
        let key = QuotaKey::parse(quota).ok()?;
        let world = self.world();
        let additions = world.entitlements.additions(tenant);
        let ground = self.ground(&world.snapshot, &world.entitlements);
        // A limit is the same whichever command asks for it.
        let question = ground.ask("", Described::NoContract, additions);
        if tenant.is_some() { question.tenant_limit(key) } else { question.platform_limit(key) }
    }
}

fn view(
    definition: &QuotaDefinition,
    of_tenant: bool,
    limit: Option<u64>,
    projection: Option<Projection>,
) -> QuotaView {
    let window = projection.as_ref().and_then(|it| it.window);
    QuotaView {
        quota_key: definition.key.clone(),
        kind: definition.kind,
        scope: if of_tenant { QuotaScope::Tenant } else { QuotaScope::Platform },
        limit,
        used: projection.as_ref().map(|it| it.used),
        reserved: projection.as_ref().map(|it| it.reserved),
        window: definition.window.map(|window| window.to_string()),
        window_start: window.map(|window| window.start),
        window_end: window.map(|window| window.end),
        at_cap: limit.is_some() && projection.as_ref().is_some_and(|it| it.at_cap),
        runs_out_at: projection.and_then(|it| it.runs_out_at).filter(|_| limit.is_some()),
    }
}
