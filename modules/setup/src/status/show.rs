//! `setup.status.show`

use sdk::prelude::*;

use crate::{ActivationStatus, AdministratorActivation, Setup, SetupError};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own; the names are of the API"
)]
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
    /// How far that administrator has come; absent where nobody was invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator_activation: Option<AdministratorActivation>,
}

impl Handle<ShowSetupStatus> for Setup {
    async fn handle(&self, cx: &Cx, _command: ShowSetupStatus) -> Result<SetupStatus, SetupError> {
        self.enter::<ShowSetupStatus>(cx).await?;
        let activation = match self.invitation().await? {
            Some(invitation) => Some(AdministratorActivation {
                status: if invitation.until > cx.now() {
                    ActivationStatus::Pending
                } else {
                    ActivationStatus::Expired
                },
                expires_at: invitation.until,
                delivery_state: self.delivery(&invitation).await?,
            }),
            None => None,
        };
        Ok(SetupStatus {
            gate_open: true,
            first_tenant_config_missing_keys: self.facts.missing_keys.clone(),
            email_configured: self.facts.email_configured,
            license_configured: self.site.is_licensed(),
            administrator_activation_required: activation.is_some(),
            administrator_activation: activation,
        })
    }
}
