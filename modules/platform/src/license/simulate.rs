//! `platform.license.simulate`

use pipeline::{Simulation, recorded_usage};
use sdk::prelude::*;

use super::LicenseText;
use crate::{LICENSE_WRITE, Platform, PlatformError};

/// Show which commands, features and quotas would change if a license were installed. Nothing does.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.simulate", Platform -> Simulation)]
#[access(permission = LICENSE_WRITE)]
#[license(none)]
#[http(POST "/api/platform/admin/v1/application/license/simulate")]
pub struct SimulateLicense {
    /// The license.
    pub license: LicenseText,
}

impl Handle<SimulateLicense> for Platform {
    async fn handle(&self, cx: &Cx, command: SimulateLicense) -> Result<Simulation, PlatformError> {
        let (deciding, now) = (&self.deciding, cx.now());
        let present = deciding.license().snapshot();
        let candidate = deciding.license().as_if_installed(command.license.expose(), now).await;
        let recorded =
            recorded_usage(deciding.catalog(), self.counters.metered.as_ref(), present.anchor(), now).await?;
        Ok(deciding.simulate(&present, &candidate, &recorded))
    }
}
