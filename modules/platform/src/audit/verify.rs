//! `platform.audit.verify`

use audit::{Mark, Range, Scope, Verification};
use sdk::prelude::*;

use crate::{AUDIT_READ, Platform, PlatformError};

/// Prove that the audit log is what was recorded, or name the first broken link of each chain.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.audit.verify", Platform -> Verification)]
#[access(permission = AUDIT_READ)]
#[license(none)]
#[http(GET "/api/audit/v1/verify")]
pub struct VerifyAudit {
    /// Only this chain: `platform`, or `tenant:` and an id.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// From this place in the chain on; what comes before is taken as given.
    #[serde(default)]
    pub from_sequence: Option<u64>,
    /// Up to and with this place.
    #[serde(default)]
    pub to_sequence: Option<u64>,
    /// A checkpoint that an earlier answer called the last, and that was kept elsewhere: it must still be there, as it was.
    #[serde(default)]
    pub checkpoint: Option<Mark>,
}

impl Handle<VerifyAudit> for Platform {
    async fn handle(&self, _cx: &Cx, command: VerifyAudit) -> Result<Verification, PlatformError> {
        let VerifyAudit { scope, from_sequence: from, to_sequence: to, checkpoint } = command;
        let kept: Vec<_> = checkpoint.iter().map(Mark::to_string).collect();
        Ok(self.0.log.verify(&Range { scope, from, to }, &kept).await?)
    }
}
