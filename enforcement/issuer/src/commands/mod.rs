mod ca;
mod catalog;
mod crl;
mod inspect;
mod issue;
mod pages;
mod passphrase;
mod revoke;
mod schema;
mod show;
mod verify;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use chancery_issuer::Directory;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make, move and list authorities, signers and keys.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Mint a license from a template and a deployment's request.
    Issue(issue::Issue),
    /// Say what a file is and show what it says: license, request, certificates, revocation lists.
    Inspect(inspect::Inspect),
    /// Open a license as its deployment would, and show what it says.
    Verify(verify::Verify),
    /// Take back a certificate, and with it every license it signed.
    Revoke(revoke::Revoke),
    /// Sign and publish the lists of what is revoked.
    Crl(crl::Crl),
    /// Print the JSON Schema of a document.
    Schema(schema::Schema),
    /// Print the completions of this command line for a shell.
    Completions(pages::Completions),
    /// Write the manual pages, one for each command.
    Manual(pages::Manual),
}

impl Command {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        match self {
            Self::Ca(command) => command.run(now),
            Self::Issue(command) => command.run(now),
            Self::Inspect(command) => command.run(),
            Self::Verify(command) => command.run(now),
            Self::Revoke(command) => command.run(now),
            Self::Crl(command) => command.run(now),
            Self::Schema(command) => command.run(),
            Self::Completions(command) => command.run(),
            Self::Manual(command) => command.run(),
        }
    }
}

#[derive(Args)]
pub(crate) struct Folder {
    /// Folder of the authorities.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Folder {
    fn directory(&self) -> Directory {
        Directory::new(&self.dir)
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
}

/// The instant that is so many days after another, or the last there is.
fn days_after(at: Timestamp, count: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * i64::from(count))).unwrap_or(Timestamp::MAX)
}
