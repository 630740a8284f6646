//! `setup.onboarding.show`

use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _},
};
use serde_json::{Map, Value};

use crate::{Setup, SetupError};

/// Show how far the setup has come.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("setup.onboarding.show", Setup -> OnboardingState)]
#[access(public)]
#[license(none)]
#[http(GET "/api/platform/setup/v1/onboarding/state")]
pub struct ShowOnboarding {}

/// How far the setup has come.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnboardingState {
    /// The step to go on with.
    pub resume_step: u32,
    /// What was typed in so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Map<String, Value>>,
    /// The license request that was made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_request: Option<String>,
}

impl Handle<ShowOnboarding> for Setup {
    async fn handle(&self, cx: &Cx, _command: ShowOnboarding) -> Result<OnboardingState, SetupError> {
        self.enter::<ShowOnboarding>(cx).await?;
        self.onboarding_state().await
    }
}

impl Setup {
    pub(crate) async fn onboarding_state(&self) -> Result<OnboardingState, SetupError> {
        let row = sqlx::query("SELECT resume_step, draft, license_request FROM setup_gate WHERE id = 1")
            .fetch_one(self.store.reader())
            .await?;
        let draft: Option<String> = row.try_get("draft")?;
        Ok(OnboardingState {
            resume_step: u32::try_from(row.try_get::<i64, _>("resume_step")?).unwrap_or(0),
            draft: draft.and_then(|draft| serde_json::from_str(&draft).ok()),
            license_request: row.try_get("license_request")?,
        })
    }
}
