use std::{ops::Range, path::PathBuf};

use anyhow::{Context as _, Result};
use chancery_issuer::Directory;
use clap::{Args, Subcommand};
use envelope::authoring::Root;
use jiff::{SignedDuration, Timestamp};

use super::passphrase::Passphrase;

#[derive(Subcommand)]
pub(crate) enum Ca {
    /// Make the root: a self-signed certificate and its encrypted key.
    Init(Init),
    /// Make the signer beneath the root: the certificate and encrypted key that licenses are signed with.
    Signer(Signer),
}

#[derive(Args)]
pub(crate) struct Init {
    /// Folder of the authority; made if it does not exist.
    #[arg(long)]
    dir: PathBuf,
    /// Name in the certificate.
    #[arg(long)]
    name: String,
    /// Days the certificate is valid.
    #[arg(long, default_value_t = 7300)]
    valid_days: u32,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Args)]
pub(crate) struct Signer {
    /// Folder of the authority.
    #[arg(long)]
    dir: PathBuf,
    /// Name in the certificate.
    #[arg(long)]
    name: String,
    /// Days the certificate is valid; no license it signs can count for longer.
    #[arg(long, default_value_t = 1095)]
    valid_days: u32,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Ca {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        match self {
            Self::Init(command) => command.run(now),
            Self::Signer(command) => command.run(now),
        }
    }
}

impl Init {
    fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let root = Root::create(&self.name, days(now, self.valid_days)).context("make the root")?;
        Directory::new(&self.dir).store_root(&root, &passphrase).context("store the root")?;
        eprintln!("made the root in `{}`", self.dir.display());
        Ok(())
    }
}

impl Signer {
    fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let directory = Directory::new(&self.dir);
        let root = directory.root(&passphrase).context("open the root")?;
        let signer = root.signer(&self.name, days(now, self.valid_days)).context("make the signer")?;
        directory.store_signer(&signer, &passphrase).context("store the signer")?;
        eprintln!("made the signer in `{}`", self.dir.display());
        Ok(())
    }
}

/// From now on, or for as long as there are dates.
fn days(now: Timestamp, count: u32) -> Range<Timestamp> {
    let span = SignedDuration::from_hours(24 * i64::from(count));
    now..now.checked_add(span).unwrap_or(Timestamp::MAX)
}
