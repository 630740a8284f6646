//! `setup.onboarding.save`

use sdk::{prelude::*, store::sqlx};
use serde_json::{Map, Value};

use super::show::OnboardingState;
use crate::{MAX_DRAFT_BYTES, Setup, SetupError};

/// Keep how far the setup has come. Whoever reaches the setup reads it, so it is no place for secrets.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("setup.onboarding.save", Setup -> OnboardingState)]
#[access(public)]
#[license(none)]
#[http(PUT "/api/platform/setup/v1/onboarding/state")]
pub struct SaveOnboarding {
    /// The step to go on with.
    pub resume_step: u32,
    /// What was typed in so far; 64 KiB at most.
    #[serde(default)]
    pub draft: Map<String, Value>,
}

impl Handle<SaveOnboarding> for Setup {
    async fn handle(&self, cx: &Cx, command: SaveOnboarding) -> Result<OnboardingState, SetupError> {
        self.enter::<SaveOnboarding>(cx).await?;
        let draft = Value::Object(command.draft).to_string();
        if draft.len() > MAX_DRAFT_BYTES {
            return Err(SetupError::DraftTooLarge);
        }
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE setup_gate SET resume_step = $1, draft = $2 WHERE id = 1")
            .bind(i64::from(command.resume_step))
            .bind(draft)
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        self.onboarding_state().await
    }
}
