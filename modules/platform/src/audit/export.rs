//! `platform.audit.export`

use std::io::{self, Write};

use audit::{AuditError, Range, Scope};
use sdk::prelude::*;

use crate::{AUDIT_READ, Platform, PlatformError};

/// The longest export that is answered at once, in bytes. What is longer is asked for in parts, or made from the database.
const LONGEST: usize = 16 * 1024 * 1024;

/// Export a part of the log with its proof: JSON Lines that can be verified without this deployment.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("platform.audit.export", Platform -> AuditExport)]
#[access(permission = AUDIT_READ)]
#[license(none)]
#[http(GET "/api/audit/v1/export")]
pub struct ExportAudit {
    /// Only this chain: `platform`, or `tenant:` and an id.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// From this place in the chain on.
    #[serde(default)]
    pub from_sequence: Option<u64>,
    /// Up to and with this place.
    #[serde(default)]
    pub to_sequence: Option<u64>,
}

/// An export.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditExport {
    /// How many events are in it.
    pub events: u64,
    /// Its lines, as they stand in a file.
    pub export: String,
}

impl Handle<ExportAudit> for Platform {
    async fn handle(&self, _cx: &Cx, command: ExportAudit) -> Result<AuditExport, PlatformError> {
        let ExportAudit { scope, from_sequence: from, to_sequence: to } = command;
        let mut out = Bounded(Vec::new());
        let exported = self.log.export(&Range { scope, from, to }, &mut out).await;
        let events = exported.map_err(|error| match error {
            AuditError::Write(_) => PlatformError::ExportTooLarge,
            other => other.into(),
        })?;
        // JSON is UTF-8.
        let export = String::from_utf8_lossy(&out.0).into_owned();
        Ok(AuditExport { events, export })
    }
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::Error::other("the export is longer than 16 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
