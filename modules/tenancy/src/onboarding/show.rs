//! `tenancy.onboarding.show`

use sdk::prelude::*;

use crate::{ONBOARDING_READ, OnboardingToggles, Tenancy, TenancyError, toggles};

/// Show the onboarding policy.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.onboarding.show", Tenancy -> OnboardingToggles)]
#[access(permission = ONBOARDING_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/application/onboarding")]
pub struct ShowOnboarding {}

impl Handle<ShowOnboarding> for Tenancy {
    async fn handle(&self, cx: &Cx, _command: ShowOnboarding) -> Result<OnboardingToggles, TenancyError> {
        self.for_operators(cx)?;
        toggles::read(self.store.reader()).await
    }
}
