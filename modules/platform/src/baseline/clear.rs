//! `platform.baseline.clear`

use sdk::prelude::*;

use super::Baseline;
use crate::{ENTITLEMENTS_WRITE, Platform, PlatformError};

/// Let every tenant inherit the whole license again.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.baseline.clear", Platform -> Baseline)]
#[access(permission = ENTITLEMENTS_WRITE)]
#[license(none)]
#[http(DELETE "/api/platform/admin/v1/entitlements/baseline")]
pub struct ClearBaseline {
    /// The revision that was seen. Where there is another one by now, nothing changes.
    pub revision: i64,
}

impl Handle<ClearBaseline> for Platform {
    async fn handle(&self, cx: &Cx, command: ClearBaseline) -> Result<Baseline, PlatformError> {
        let cleared = self.0.handed_on.set_baseline(command.revision, None, cx).await?;
        cleared.map_err(|conflict| PlatformError::ChangedMeanwhile { present: conflict.present })
    }
}
