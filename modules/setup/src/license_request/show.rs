//! `setup.license-request.show`

use license::RequestState;
use platform::license_request::show::ShowLicenseRequest;
use sdk::prelude::*;

use crate::{Setup, SetupError};

/// Show whether a license can be asked for, and the fingerprint of the key it will be sealed to.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("setup.license-request.show", Setup -> RequestState)]
#[access(public)]
#[license(none)]
#[http(GET "/api/platform/setup/v1/license-request")]
pub struct ShowSetupRequest {}

impl Handle<ShowSetupRequest> for Setup {
    async fn handle(&self, cx: &Cx, _command: ShowSetupRequest) -> Result<RequestState, SetupError> {
        self.enter::<ShowSetupRequest>(cx).await?;
        self.run(cx, ShowLicenseRequest {}).await
    }
}
