mod ca;
mod inspect;
mod issue;
mod passphrase;
mod verify;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use jiff::Timestamp;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the licensing authority.
    #[command(subcommand)]
    Ca(ca::Ca),
    /// Mint a sealed license.
    Issue(issue::Issue),
    /// Show what a license shows without any key. This proves nothing about it.
    Inspect(inspect::Inspect),
    /// Open a license as its deployment would, and show what it says.
    Verify(verify::Verify),
}

impl Command {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        match self {
            Self::Ca(command) => command.run(now),
            Self::Issue(command) => command.run(now),
            Self::Inspect(command) => command.run(),
            Self::Verify(command) => command.run(now),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
}
