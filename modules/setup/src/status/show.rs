//! `setup.status.show`

use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _},
};

use crate::{Setup, SetupError};

/// Show what is still to be set up. Not found means that all is.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("setup.status.show", Setup -> SetupStatus)]
#[access(public)]
#[license(none)]
#[http(GET "/api/platform/setup/v1/status")]
pub struct ShowSetupStatus {}

/// What is still to be set up.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetupStatus {
    /// Always true: nobody hears of a gate that is closed.
    pub gate_open: bool,
    /// Keys of the configuration that a first tenant needs and that are not set.
    pub first_tenant_config_missing_keys: Vec<String>,
    /// Whether mail can be sent.
    pub email_configured: bool,
    /// Whether there is a license that counts.
    pub license_configured: bool,
    /// Whether an administrator was invited, and has yet to set a password.
    pub administrator_activation_required: bool,
}

impl Handle<ShowSetupStatus> for Setup {
    async fn handle(&self, cx: &Cx, _command: ShowSetupStatus) -> Result<SetupStatus, SetupError> {
        self.enter::<ShowSetupStatus>(cx).await?;
        let row = sqlx::query("SELECT administrator FROM setup_gate WHERE id = 1")
            .fetch_one(self.store.reader())
            .await?;
        Ok(SetupStatus {
            gate_open: true,
            first_tenant_config_missing_keys: self.facts.missing_keys.clone(),
            email_configured: self.facts.email_configured,
            license_configured: self.site.is_licensed(),
            administrator_activation_required: row.try_get::<Option<String>, _>("administrator")?.is_some(),
        })
    }
}
