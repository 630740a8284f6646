//! `platform.license.install`

use license::{Installation, LicenseProjection};
use sdk::prelude::*;

use super::LicenseText;
use crate::{LICENSE_WRITE, Platform, PlatformError};

/// Install a license. It takes the place of whatever is configured or installed, on every replica.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.install", Platform -> InstallResult)]
#[access(permission = LICENSE_WRITE)]
#[license(none)]
#[http(POST "/api/platform/admin/v1/application/license")]
pub struct InstallLicense {
    /// The license.
    pub license: LicenseText,
}

/// What was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallResult {
    /// The license.
    pub license: LicenseProjection,
    /// The id of the license whose place it took.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_license_id: Option<String>,
}

impl Handle<InstallLicense> for Platform {
    async fn handle(&self, cx: &Cx, command: InstallLicense) -> Result<InstallResult, PlatformError> {
        let running = self.0.deciding.license();
        let by = cx.principal().actor();
        let Installation { license, previous_license_id } =
            running.install(command.license.expose(), by, cx, cx.now()).await?;
        Ok(InstallResult { license, previous_license_id })
    }
}
