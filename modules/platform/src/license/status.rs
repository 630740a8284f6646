//! `platform.license.status`

use std::collections::BTreeMap;

use license::{LicenseProjection, Snapshot};
use pipeline::recorded_usage;
use sdk::{
    descriptors::{
        catalog::Catalog,
        descriptor::QuotaKey,
        grant::{Ceiling, Grant},
    },
    prelude::*,
};

use crate::{LICENSE_READ, Platform, PlatformError};

/// Show the state of the license, and what is used of it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.status", Platform -> LicenseStatusProjection)]
#[access(permission = LICENSE_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/application/license")]
pub struct ShowLicenseStatus {}

/// Everything that may be shown of a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicenseStatusProjection {
    /// The license.
    #[serde(flatten)]
    pub license: LicenseProjection,
    /// What the platform uses of each quota that is recorded, by key. Absent while that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quota_projections: Option<Vec<QuotaProjection>>,
}

/// One quota of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaProjection {
    /// Its key.
    pub quota_key: String,
    /// Units that may be used in a window.
    pub limit: u64,
    /// Units that are used, or reserved by calls that run.
    pub used: u64,
    /// The period after which the count begins anew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window: Option<String>,
    /// Nothing is left.
    pub at_cap: bool,
}

impl Handle<ShowLicenseStatus> for Platform {
    async fn handle(
        &self,
        cx: &Cx,
        _command: ShowLicenseStatus,
    ) -> Result<LicenseStatusProjection, PlatformError> {
        let (snapshot, now) = (self.deciding.license().snapshot(), cx.now());
        let catalog = self.deciding.catalog();
        let recorded = recorded_usage(catalog, self.counters.metered.as_ref(), snapshot.anchor(), now).await;
        // Whoever looks at the license because something is wrong must get an answer.
        let recorded = recorded
            .inspect_err(|error| tracing::warn!(%error, "failed to read what is used of the quotas"))
            .ok();
        let quota_projections = recorded.map(|recorded| quotas(catalog, &snapshot, &recorded));
        Ok(LicenseStatusProjection { license: LicenseProjection::of(&snapshot, now), quota_projections })
    }
}

fn quotas(catalog: &Catalog, snapshot: &Snapshot, recorded: &BTreeMap<String, u64>) -> Vec<QuotaProjection> {
    let Ceiling::Granted(grant) = snapshot.ceiling() else { return Vec::new() };
    recorded.iter().map(|(key, used)| quota(catalog, grant, key, *used)).collect()
}

fn quota(catalog: &Catalog, grant: &Grant, key: &str, used: u64) -> QuotaProjection {
    let known = QuotaKey::parse(key).ok();
    let limit = known.map_or(0, |key| grant.limit(key));
    let window = known.and_then(|key| catalog.quota(key)).and_then(|quota| quota.window);
    QuotaProjection {
        quota_key: key.to_owned(),
        limit,
        used,
        window: window.map(|window| window.to_string()),
        at_cap: used >= limit,
    }
}
