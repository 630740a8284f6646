use anyhow::{Context as _, Result};
use chancery_issuer::{Name, Shelf};
use clap::Args;
use envelope::authoring::Root;
use jiff::Timestamp;

use super::{AuthorityAlgorithm, keep};
use crate::commands::{Folder, days_after, passphrase::Passphrase};

#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    folder: Folder,
    /// Name in the certificate.
    #[arg(long)]
    name: String,
    /// Days the certificate is valid.
    #[arg(long, default_value_t = 7300)]
    valid_days: u32,
    /// How its key signs.
    #[arg(long, value_enum, default_value_t = AuthorityAlgorithm::Es256)]
    algorithm: AuthorityAlgorithm,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Init {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let validity = now..days_after(now, self.valid_days);
        let root = Root::create_on(self.algorithm.curve(), &self.name, validity).context("make the root")?;
        let (chain, key) = (root.chain_pem()?, root.key_pem(&passphrase)?);
        let directory = self.folder.directory();
        directory.make().context("store the root")?;
        let mut book = directory.book()?;
        let place = (Shelf::Authorities, &Name::root(), None);
        keep(&directory, &mut book, now, place, (&chain, &key)).context("store the root")
    }
}
