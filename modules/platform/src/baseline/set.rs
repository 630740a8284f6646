//! `platform.baseline.set`

use sdk::prelude::*;

use super::Baseline;
use crate::{ENTITLEMENTS_WRITE, Platform, PlatformError, Terms};

/// Set what every tenant inherits, in place of the whole license. In force at once here, and within two seconds on every
/// replica.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.baseline.set", Platform -> Baseline)]
#[access(permission = ENTITLEMENTS_WRITE)]
#[license(none)]
#[http(PUT "/api/platform/admin/v1/entitlements/baseline")]
pub struct SetBaseline {
    /// The revision that was seen. Where there is another one by now, nothing changes.
    pub revision: i64,
    /// What every tenant inherits.
    pub terms: Terms,
}

impl Handle<SetBaseline> for Platform {
    async fn handle(&self, cx: &Cx, command: SetBaseline) -> Result<Baseline, PlatformError> {
        let SetBaseline { revision, terms } = command;
        terms.check(&self.0.deciding)?;
        let set = self.0.handed_on.set_baseline(revision, Some(&terms), cx).await?;
        set.map_err(|conflict| PlatformError::ChangedMeanwhile { present: conflict.present })
    }
}
