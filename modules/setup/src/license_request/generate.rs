//! `setup.license-request.generate`

use license::{Contact, MadeRequest, Wanted};
use platform::license_request::generate::GenerateLicenseRequest;
use sdk::{prelude::*, store::sqlx};

use crate::{Setup, SetupError};

/// Make the signed request for a license, and the key it will be sealed to where there is none yet.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("setup.license-request.generate", Setup -> MadeRequest)]
#[access(public)]
#[license(none)]
#[http(POST "/api/platform/setup/v1/license-request/generate")]
pub struct GenerateSetupRequest {
    /// Who asks.
    pub organization_name: String,
    /// Whom the vendor may talk to; at least one.
    #[schemars(length(min = 1, max = 32))]
    pub contacts: Vec<Contact>,
    /// Domains this installation serves under; the host of `server.public-url` where none is stated.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub base_domains: Vec<String>,
    /// What the customer would like to have. The vendor decides.
    #[serde(default)]
    pub wanted: Option<Wanted>,
}

impl Handle<GenerateSetupRequest> for Setup {
    async fn handle(&self, cx: &Cx, command: GenerateSetupRequest) -> Result<MadeRequest, SetupError> {
        self.enter::<GenerateSetupRequest>(cx).await?;
        let GenerateSetupRequest { organization_name, contacts, base_domains, wanted } = command;
        let wanted =
            GenerateLicenseRequest { organization_name, contacts, base_domains, renew: false, wanted };
        let made = self.run(cx, wanted).await?;
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE setup_gate SET license_request = $1 WHERE id = 1")
            .bind(&made.compact)
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(made)
    }
}
