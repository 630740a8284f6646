//! `chancery audit`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::Ask;

/// `chancery audit`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Show what happened, newest first
    Query(AuditQuery),
    /// Show what happens, as it happens
    ///
    /// With `--json`, one object to a line.
    Tail(AuditTail),
    /// Prove that the log is what was recorded, or name the first broken link of each chain
    ///
    /// Asks a running server, or looks into the database that a configuration names. Exits with 1 where a chain is broken.
    Verify(AuditVerify),
    /// Write a part of the log with its proof, as JSON Lines
    ///
    /// Asks a running server, or reads the database that a configuration names.
    Export(AuditExport),
    /// Prove that an export is what was written; needs no server and no database
    ///
    /// Without the configuration of the deployment that wrote it, what the export says is compared with itself only.
    VerifyExport(VerifyExport),
}

/// Which events: all that is stated must hold.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// Only what concerns this tenant, by id
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Only this command
    #[arg(long, value_name = "ID")]
    pub command: Option<String>,
    /// Only commands of this module
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
    /// Only what this actor did
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,
    /// Only what belongs to this W3C trace
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,
    /// Only what ended so: started, succeeded, failed, policy-denied, auth-failure, warning
    #[arg(long, value_name = "RESULT")]
    pub result: Option<String>,
    /// Not before this instant, such as `2026-11-24T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Not after this instant
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// `chancery audit query`
#[derive(Debug, Args)]
pub struct AuditQuery {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub filter: AuditFilter,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Where to go on: what the page before says at its end
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub ask: Ask,
}

/// `chancery audit tail`
#[derive(Debug, Args)]
pub struct AuditTail {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub filter: AuditFilter,
    /// Begin with the first event of the log, not with the next
    #[arg(long)]
    pub all: bool,
    /// End after so many events, instead of going on until interrupted
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub ask: Ask,
}

/// A part of the log, and where the log is.
#[derive(Debug, Args)]
pub struct AuditPart {
    /// Only this chain: `platform`, or `tenant:` and an id
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// From this place in the chain on
    #[arg(long, value_name = "N")]
    pub from_sequence: Option<u64>,
    /// Up to and with this place
    #[arg(long, value_name = "N")]
    pub to_sequence: Option<u64>,
    /// Read the database that this configuration names, instead of asking a server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file that says which server and holds the token, as `quickstart` writes it
    #[arg(long, env = "CHANCERY_CREDENTIALS", value_name = "FILE", required_unless_present = "config")]
    pub credentials: Option<PathBuf>,
}

/// `chancery audit verify`
#[derive(Debug, Args)]
pub struct AuditVerify {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub part: AuditPart,
    /// A last checkpoint that an earlier call told, or the log of the server, and that was kept elsewhere
    #[arg(long, value_name = "NUMBER:HASH")]
    pub checkpoint: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery audit export`
#[derive(Debug, Args)]
pub struct AuditExport {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub part: AuditPart,
    /// The file to write; it must not exist yet. Standard output when not stated
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `chancery audit verify-export`
#[derive(Debug, Args)]
pub struct VerifyExport {
    /// The export; `-` reads it from stdin
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// The configuration of the deployment that wrote it: its recipient key proves the seal
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl AuditFilter {
    /// As the input of `platform.audit.query`.
    pub fn input(&self) -> Map<String, Value> {
        let stated = [
            ("tenantId", &self.tenant),
            ("commandId", &self.command),
            ("module", &self.module),
            ("actorId", &self.actor),
            ("traceId", &self.trace),
            ("result", &self.result),
            ("from", &self.from),
            ("to", &self.to),
        ];
        stated.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))).collect()
    }
}

impl AuditPart {
    /// As the input of `platform.audit.verify` and `platform.audit.export`.
    pub fn input(&self) -> Map<String, Value> {
        let mut input = Map::new();
        if let Some(scope) = &self.scope {
            input.insert("scope".to_owned(), scope.clone().into());
        }
        for (name, place) in [("fromSequence", self.from_sequence), ("toSequence", self.to_sequence)] {
            if let Some(place) = place {
                input.insert(name.to_owned(), place.into());
            }
        }
        input
    }
}
