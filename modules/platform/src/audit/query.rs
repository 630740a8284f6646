//! `platform.audit.query`

use audit::{Cursor, Filter, Outcome, Page, Scope};
use jiff::Timestamp;
use sdk::prelude::*;

use crate::{AUDIT_READ, Platform, PlatformError};

/// Show what happened, newest first.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.audit.query", Platform -> Page)]
#[access(permission = AUDIT_READ)]
#[license(none)]
#[http(GET "/api/audit/v1/events")]
pub struct QueryAudit {
    /// Only what concerns this tenant, by id.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
    /// Only this command.
    #[serde(default)]
    pub command_id: Option<String>,
    /// Only commands of this module.
    #[serde(default)]
    pub module: Option<String>,
    /// Only what this actor did.
    #[serde(default)]
    pub actor_id: Option<String>,
    /// Only what belongs to this trace.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// Only what ended so.
    #[serde(default)]
    pub result: Option<Outcome>,
    /// Not before this instant.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Not after this instant.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// How many at most: 1 to 1000, 100 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

impl Handle<QueryAudit> for Platform {
    async fn handle(&self, _cx: &Cx, command: QueryAudit) -> Result<Page, PlatformError> {
        let filter = Filter {
            scope: command.tenant_id.map(|tenant| Scope::Tenant(tenant.to_string())),
            command: command.command_id,
            module: command.module,
            actor: command.actor_id,
            trace: command.trace_id,
            result: command.result,
            from: command.from,
            to: command.to,
        };
        Ok(self.0.log.query(&filter, command.cursor, command.limit.unwrap_or(100)).await?)
    }
}
