use anyhow::{Context as _, Result};
use chancery_issuer::{Name, Shelf};
use clap::Args;
use envelope::authoring::Role;
use jiff::Timestamp;

use super::{AuthorityAlgorithm, choose_authority, keep, open_authority};
use crate::commands::{Folder, days_after, passphrase::Passphrase};

#[derive(Args)]
pub(crate) struct Intermediate {
    #[command(flatten)]
    folder: Folder,
    /// Name in the certificate; it also names the files.
    #[arg(long)]
    name: String,
    /// Days the certificate is valid.
    #[arg(long, default_value_t = 3650)]
    valid_days: u32,
    /// How its key signs.
    #[arg(long, value_enum, default_value_t = AuthorityAlgorithm::Es256)]
    algorithm: AuthorityAlgorithm,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Intermediate {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let name: Name = self.name.parse()?;
        let passphrase = self.passphrase.read()?;
        let directory = self.folder.directory();
        let mut book = directory.book().context("open the folder")?;
        directory.check_free(&name).context("store the intermediate")?;
        let root = choose_authority(&directory, None, &[Role::Root])?;
        let issuer = open_authority(&directory, &book, &root, &passphrase)?;
        let validity = now..days_after(now, self.valid_days);
        let made = issuer.intermediate(self.algorithm.curve(), &self.name, validity);
        let made = made.context("make the intermediate")?;
        let (chain, key) = (made.chain_pem()?, made.key_pem(&passphrase)?);
        let place = (Shelf::Authorities, &name, Some(&root));
        keep(&directory, &mut book, now, place, (&chain, &key)).context("store the intermediate")
    }
}
