//! `platform.decisions.explain`

use pipeline::ExplanationView;
use sdk::prelude::*;

use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// Show how it is decided whether a command may run, and the smallest changes that would allow it. Charges nothing.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.decisions.explain", Platform -> ExplanationView)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/explain")]
pub struct ExplainDecision {
    /// The command's id.
    pub command: String,
    /// The tenant; the one on whose behalf the call is made when not stated.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
    /// Without ids of tenant and license, and without texts that an operator wrote: fit for a support ticket.
    #[serde(default)]
    pub redacted: bool,
}

impl Handle<ExplainDecision> for Platform {
    async fn handle(&self, cx: &Cx, command: ExplainDecision) -> Result<ExplanationView, PlatformError> {
        let ExplainDecision { command, tenant_id, redacted } = command;
        let index = self.0.deciding.registry().find(&command);
        let index = index.ok_or(PlatformError::UnknownCommand)?;
        let view = self.0.deciding.explain_for(index, tenant_id.or(cx.tenant()));
        Ok(if redacted { view.redacted() } else { view })
    }
}
