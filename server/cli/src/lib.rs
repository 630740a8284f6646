//! The operators' command line: what is asked ([`Cli`]), how answers are printed ([`print`](mod@print)), and the client of a
//! running server ([`client`]).
//!
//! Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the check or call failed, 2 usage, 78
//! configuration.

mod audit;
pub mod client;
mod license;
pub mod print;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use descriptors::coverage::FindingKind;

pub use audit::{
    Audit, AuditExport, AuditFilter, AuditPart, AuditQuery, AuditTail, AuditVerify, VerifyExport,
};
pub use license::{ContactArg, Diff, Inspect, Install, License, Request, Simulate, Status};

/// Chancery: software sold by capability, run on the customer's own machines.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the check or call failed, 2 usage, 78 configuration.";

/// The operators' commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Go from nothing to a working server: keys, a development license, a database, an operator, a demo tenant
    ///
    /// Everything it makes goes into one folder. A second run continues where the first stopped.
    Quickstart(Quickstart),
    /// Run the server
    ///
    /// Applies outstanding migrations first, and refuses a database whose schema is newer than this program.
    Serve(Serve),
    /// Report which commands are covered by licensing; needs no server and no database
    Coverage(Coverage),
    /// Show what each edition would allow, command by command; needs no server and no database
    Matrix(Matrix),
    /// Show how it is decided whether a command may run, and the smallest change that would allow it
    ///
    /// Given a denial reason such as `NOT_ENTITLED`, prints the page on it instead. Charges nothing, audits nothing.
    Explain(Explain),
    /// Ask for licenses, look at them, compare them, and install them
    #[command(subcommand)]
    License(License),
    /// Show how far quotas are used: of the whole platform, and of one tenant
    Quota(Quota),
    /// See what happened, and prove that it is what was recorded
    #[command(subcommand)]
    Audit(Audit),
    /// Call a command of a running server
    Invoke(Invoke),
    /// Bring the database's schema up to date
    Migrate(Migrate),
    /// Look after the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at everything this deployment stands on, in order, and say what to mend first
    Doctor(Doctor),
    /// Print the completions of this command line for a shell
    ///
    /// For bash: `chancery completions bash > /etc/bash_completion.d/chancery`.
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Manual {
        /// The folder they go into; it is there already
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration file; keys may also be set as `CHANCERY_SECTION__KEY`
    #[arg(long, env = "CHANCERY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Whom to ask, and how to print the answer.
#[derive(Debug, Args)]
pub struct Ask {
    /// The file that says which server and holds the token, as `quickstart` writes it
    #[arg(long, env = "CHANCERY_CREDENTIALS", value_name = "FILE")]
    pub credentials: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery quickstart`
#[derive(Debug, Args)]
pub struct Quickstart {
    /// The folder for everything it makes
    #[arg(long, default_value = "quickstart")]
    pub dir: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// `chancery serve`
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Run without a license service: licensed commands run unlicensed. Refused in production
    #[arg(long)]
    pub dev: bool,
}

/// `chancery coverage`
#[derive(Debug, Args)]
pub struct Coverage {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Exit with 1 when there is a finding of one of these kinds, such as `MISSING_DESCRIPTOR`
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = finding_kind)]
    pub fail_on: Vec<FindingKind>,
    /// Of those, only findings on commands beneath these prefixes, such as `tenancy.`
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', requires = "fail_on")]
    pub fail_under: Vec<String>,
}

/// How the coverage report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Table,
    /// For machines
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// `JUnit` XML, for test reports
    Junit,
}

/// `chancery matrix`
#[derive(Debug, Args)]
pub struct Matrix {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For machines
    Json,
}

/// `chancery explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// A command id such as `tenancy.tenants.create`, or a denial reason such as `NOT_ENTITLED`
    #[arg(value_name = "COMMAND")]
    pub subject: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Decide for this tenant, with its subscription; for the platform when not stated
    #[arg(long, value_name = "SLUG")]
    pub tenant: Option<String>,
    /// Decide under this license instead of the configured one
    #[arg(long, value_name = "FILE")]
    pub license: Option<PathBuf>,
    /// Leave out ids of tenant and license, and texts that an operator wrote: fit for a support ticket
    #[arg(long)]
    pub redacted: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration is one, and what it comes to
    Check {
        #[command(flatten)]
        #[expect(missing_docs, reason = "documented at its type")]
        config: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// `chancery doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `chancery quota`
#[derive(Debug, Args)]
pub struct Quota {
    /// The tenant whose quotas to show beside the platform's; the operator's own when not stated
    #[arg(long, value_name = "SLUG")]
    pub tenant: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub ask: Ask,
}

/// `chancery invoke`
#[derive(Debug, Args)]
pub struct Invoke {
    /// The command's id, such as `tenancy.tenants.create`
    pub command: String,
    /// Its input as JSON; `-` reads it from stdin
    #[arg(default_value = "{}", value_name = "JSON|-")]
    pub input: String,
    /// The tenant on whose behalf to call; the operator's own when not stated
    #[arg(long, value_name = "SLUG")]
    pub tenant: Option<String>,
    /// Repetitions with the same key get the first answer and are charged once
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// The file that says which server and holds the token, as `quickstart` writes it
    #[arg(long, env = "CHANCERY_CREDENTIALS", value_name = "FILE")]
    pub credentials: PathBuf,
}

/// `chancery migrate`
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub config: ConfigFile,
    /// Only say what would be applied
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the completions for a shell.
pub fn completions(shell: Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chancery", &mut script);
    io::stdout().write_all(&script)
}

/// Writes the manual pages into a folder: `chancery.1`, `chancery-license-install.1` and so on.
pub fn manual(folder: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Cli::command(), folder)
}

fn finding_kind(text: &str) -> Result<FindingKind, String> {
    FindingKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        let known: Vec<_> = FindingKind::ALL.into_iter().map(FindingKind::as_str).collect();
        format!("one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_kind_of_finding_is_answered_with_the_known_ones() {
        let error = Cli::try_parse_from(["chancery", "coverage", "--fail-on", "GAPS"]).unwrap_err();
        assert!(error.to_string().contains("MISSING_DESCRIPTOR"), "{error}");
    }
}
