use anyhow::{Context as _, Result};
use chancery_issuer::{Entry, Name};
use clap::Args;
use envelope::authoring::LicenseKey;
use jiff::Timestamp;

use crate::commands::{Folder, passphrase::Passphrase};

#[derive(Args)]
pub(crate) struct Key {
    #[command(flatten)]
    folder: Folder,
    /// Name of the key in the licenses it signs.
    #[arg(long)]
    kid: Name,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Key {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let directory = self.folder.directory();
        directory.make().context("store the key")?;
        let mut book = directory.book()?;
        directory.check_free_key(&self.kid).context("store the key")?;
        let made = LicenseKey::create(self.kid.as_str()).context("make the key")?;
        let jwk = serde_json::to_string_pretty(&made.public_jwk()?)?;
        let key = made.key_pem(&passphrase)?;
        book.append(Entry::Key { at: now, kid: self.kid.to_string() })?;
        directory.store_license_key(&self.kid, &format!("{jwk}\n"), &key).context("store the key")?;
        eprintln!("made the key `{}`; this is its public half", self.kid);
        println!("{jwk}");
        Ok(())
    }
}
