//! `setup.license.preview`

use platform::license::{
    LicenseText,
    preview::{LicensePreview, PreviewLicense},
};
use sdk::prelude::*;

use crate::{Setup, SetupError};

/// Show what would happen if a license were installed. Nothing does.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("setup.license.preview", Setup -> LicensePreview)]
#[access(public)]
#[license(none)]
#[http(POST "/api/platform/setup/v1/license/import/preview")]
pub struct PreviewSetupLicense {
    /// The license.
    pub license: LicenseText,
}

impl Handle<PreviewSetupLicense> for Setup {
    async fn handle(&self, cx: &Cx, command: PreviewSetupLicense) -> Result<LicensePreview, SetupError> {
        self.enter::<PreviewSetupLicense>(cx).await?;
        self.run(cx, PreviewLicense { license: command.license }).await
    }
}
