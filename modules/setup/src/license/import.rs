//! `setup.license.import`

use platform::license::{
    LicenseText,
    install::{InstallLicense, InstallResult},
};
use sdk::prelude::*;

use crate::{Setup, SetupError};

/// Install a license. The checks are those of any.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("setup.license.import", Setup -> InstallResult)]
#[access(public)]
#[license(none)]
#[http(POST "/api/platform/setup/v1/license/import")]
pub struct ImportSetupLicense {
    /// The license.
    pub license: LicenseText,
}

impl Handle<ImportSetupLicense> for Setup {
    async fn handle(&self, cx: &Cx, command: ImportSetupLicense) -> Result<InstallResult, SetupError> {
        self.enter::<ImportSetupLicense>(cx).await?;
        self.run(cx, InstallLicense { license: command.license }).await
    }
}
