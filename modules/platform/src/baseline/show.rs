//! `platform.baseline.show`

use sdk::prelude::*;

use super::Baseline;
use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// Show what every tenant inherits.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.baseline.show", Platform -> Baseline)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/entitlements/baseline")]
pub struct ShowBaseline {}

impl Handle<ShowBaseline> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ShowBaseline) -> Result<Baseline, PlatformError> {
        Ok(self.handed_on.baseline().await?)
    }
}
