//! `platform.license.uninstall`

use license::LicenseProjection;
use sdk::prelude::*;

use crate::{LICENSE_WRITE, Platform, PlatformError};

/// Take the installed license away, so that the configured one counts again.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.uninstall", Platform -> UninstallResult)]
#[access(permission = LICENSE_WRITE)]
#[license(none)]
#[http(DELETE "/api/platform/admin/v1/application/license")]
pub struct UninstallLicense {}

/// What is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UninstallResult {
    /// Whether there was an installed license.
    pub removed: bool,
    /// The license from now on.
    pub license: LicenseProjection,
}

impl Handle<UninstallLicense> for Platform {
    async fn handle(&self, cx: &Cx, _command: UninstallLicense) -> Result<UninstallResult, PlatformError> {
        let running = self.0.deciding.license();
        let removed = running.uninstall(cx.principal().actor(), cx, cx.now()).await?;
        Ok(UninstallResult { removed, license: LicenseProjection::of(&running.snapshot(), cx.now()) })
    }
}
