//! `platform.onboarding.availability`

use resolver::Verdict;
use sdk::prelude::*;

use super::{Availability, ConfigFacts, LicenseFacts, RuntimeFacts, availability};
use crate::{ONBOARDING_READ, Platform, PlatformError};

/// Show which ways to a tenant are open, and for each that is not, the first reason.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.onboarding.availability", Platform -> Availability)]
#[access(permission = ONBOARDING_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/application/onboarding/availability")]
pub struct ShowAvailability {}

/// What is known of the ways to a tenant, beside the license.
pub trait Onboarding: Send + Sync + 'static {
    /// What is configured and decided.
    fn config(&self) -> ConfigFacts;

    /// What is so at the moment.
    fn runtime(&self) -> RuntimeFacts;
}

impl Handle<ShowAvailability> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ShowAvailability) -> Result<Availability, PlatformError> {
        let license = LicenseFacts {
            usable: self.runs("tenancy.tenants.create"),
            self_signup: self.runs("signup.requests.request"),
            subtenants: self.runs("tenancy.children.create"),
        };
        Ok(availability(&license, &self.0.onboarding.config(), &self.0.onboarding.runtime()))
    }
}

impl Platform {
    /// Whether the license lets this command run, as its own call would find. What is not in this program does not.
    fn runs(&self, command: &str) -> bool {
        let command = self.0.deciding.registry().find(command);
        let verdict = command.map(|command| self.0.deciding.verdict(command, None));
        matches!(verdict, Some(Verdict::Allowed | Verdict::Exempt(_)))
    }
}
