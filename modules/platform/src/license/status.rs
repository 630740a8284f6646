//! `platform.license.status`

use license::LicenseProjection;
use sdk::prelude::*;

use crate::{LICENSE_READ, Platform, PlatformError};

/// Show the state of the license.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license.status", Platform -> LicenseProjection)]
#[access(permission = LICENSE_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/application/license")]
pub struct ShowLicenseStatus {}

impl Handle<ShowLicenseStatus> for Platform {
    async fn handle(&self, cx: &Cx, _command: ShowLicenseStatus) -> Result<LicenseProjection, PlatformError> {
        Ok(LicenseProjection::of(&self.deciding.license().snapshot(), cx.now()))
    }
}
