//! `platform.license-request.generate`

use license::{Contact, MadeRequest, RequestWish, Wanted};
use sdk::prelude::*;

use crate::{LICENSE_WRITE, Platform, PlatformError};

/// Make the signed request for a license, and the key it will be sealed to where there is none yet.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.license-request.generate", Platform -> MadeRequest)]
#[access(permission = LICENSE_WRITE)]
#[license(none)]
#[http(POST "/api/platform/admin/v1/application/license/request")]
pub struct GenerateLicenseRequest {
    /// Who asks.
    pub organization_name: String,
    /// Whom the vendor may talk to; at least one.
    #[schemars(length(min = 1, max = 32))]
    pub contacts: Vec<Contact>,
    /// Domains this installation serves under; the host of `server.public-url` where none is stated.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub base_domains: Vec<String>,
    /// Whether the present license is to be renewed.
    #[serde(default)]
    pub renew: bool,
    /// What the customer would like to have. The vendor decides.
    #[serde(default)]
    pub wanted: Option<Wanted>,
}

impl Handle<GenerateLicenseRequest> for Platform {
    async fn handle(&self, cx: &Cx, command: GenerateLicenseRequest) -> Result<MadeRequest, PlatformError> {
        let GenerateLicenseRequest { organization_name, contacts, base_domains, renew, wanted } = command;
        let renews = if renew {
            let present = self.0.deciding.license().snapshot();
            Some(present.license_id().map(str::to_owned).ok_or(PlatformError::NothingToRenew)?)
        } else {
            None
        };
        let wish = RequestWish { organization_name, contacts, base_domains, renews, wanted };
        Ok(self.0.desk.make(wish, &cx.uuid().to_string(), cx.now())?)
    }
}
