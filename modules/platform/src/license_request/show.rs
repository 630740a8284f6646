//! `platform.license-request.show`

use license::RequestState;
use sdk::prelude::*;

use crate::{LICENSE_READ, Platform, PlatformError};

/// Show whether a license can be asked for, and the fingerprint of the key it will be sealed to.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.license-request.show", Platform -> RequestState)]
#[access(permission = LICENSE_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/application/license/request")]
pub struct ShowLicenseRequest {}

impl Handle<ShowLicenseRequest> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ShowLicenseRequest) -> Result<RequestState, PlatformError> {
        Ok(self.0.desk.state()?)
    }
}
