//! `chancery audit`

mod export;
mod query;
mod tail;
mod verify;
mod verify_export;

use std::path::Path;

use audit::{AuditLog, Event, Range};
use cli::{Audit, AuditPart, ConfigFile};
use config::Config;
use store::Store;

use crate::{sealing, wire};

/// Carries it out. `false` means that what was asked for is not so.
pub(crate) async fn run(command: Audit) -> anyhow::Result<bool> {
    match command {
        Audit::Query(args) => query::run(&args).await,
        Audit::Tail(args) => tail::run(&args).await,
        Audit::Verify(args) => verify::run(&args).await,
        Audit::Export(args) => export::run(&args).await,
        Audit::VerifyExport(args) => verify_export::run(&args),
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    crate::load(&ConfigFile { config: Some(file.to_owned()) })
}

/// The log in the configured database, and its store, which is to be closed.
async fn look_at_log(file: &Path) -> anyhow::Result<(AuditLog, Store)> {
    let config = load(file)?;
    let store = wire::look_at_store(&config).await?;
    let sources = wire::license_sources(&config, &wire::inventory(Some(&config))?.1)?;
    Ok((sealing::audit_log(store.clone(), &sources), store))
}

fn range(stated: &AuditPart) -> anyhow::Result<Range> {
    let scope = stated.scope.as_deref().map(str::parse).transpose()?;
    Ok(Range { scope, from: stated.from_sequence, to: stated.to_sequence })
}

/// An event on one line. What strangers typed may hold anything, so it is written with escapes.
fn line(event: &Event) -> String {
    let subject = event.command.as_deref().unwrap_or("-").escape_default();
    let code = event.error_code.as_deref().map(|code| format!(" {}", code.escape_default()));
    let tenant = event.tenant.as_deref().unwrap_or("platform").escape_default();
    format!(
        "{time:.3}  {result:<13} {name:<24} {subject}{code}  {actor}  {tenant}\n",
        time = event.time,
        result = event.result,
        name = event.name.escape_default().to_string(),
        code = code.unwrap_or_default(),
        actor = event.actor.escape_default(),
    )
}
