use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::read;

const VARIABLE: &str = "CHANCERY_ISSUER_PASSPHRASE";

#[derive(Args)]
pub(crate) struct Passphrase {
    /// File with the passphrase of the keys; without it, the environment is read.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    /// The passphrase, without the line end an editor leaves. An empty one is refused.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>> {
        match &self.passphrase_file {
            Some(file) => from_file(file),
            None => trimmed(&from_environment()?),
        }
    }
}

/// The passphrase in a file.
pub(crate) fn from_file(file: &Path) -> Result<Zeroizing<String>> {
    trimmed(&Zeroizing::new(read(file)?))
}

fn trimmed(text: &str) -> Result<Zeroizing<String>> {
    let passphrase = text.trim_end_matches(['\r', '\n']);
    if passphrase.is_empty() {
        bail!("use an empty passphrase");
    }
    Ok(Zeroizing::new(passphrase.to_owned()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tool has no configuration, and an argument would show in the process list"
)]
fn from_environment() -> Result<Zeroizing<String>> {
    let text = std::env::var(VARIABLE)
        .with_context(|| format!("find a passphrase: give --passphrase-file or set {VARIABLE}"))?;
    Ok(Zeroizing::new(text))
}
