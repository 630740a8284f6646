use anyhow::{Context as _, Result};
use chancery_issuer::{Name, Shelf};
use clap::Args;
use envelope::authoring::Role;
use jiff::Timestamp;

use super::{SignerAlgorithm, choose_authority, keep, open_authority};
use crate::commands::{Folder, days_after, passphrase::Passphrase};

#[derive(Args)]
pub(crate) struct Signer {
    #[command(flatten)]
    folder: Folder,
    /// Name in the certificate; it also names the files.
    #[arg(long)]
    name: String,
    /// The authority above it; the only intermediate or partner, or the root, if none is named.
    #[arg(long, value_name = "NAME")]
    under: Option<Name>,
    /// Days the certificate is valid; no license it signs can count for longer.
    #[arg(long, default_value_t = 1095)]
    valid_days: u32,
    /// How its key signs.
    #[arg(long, value_enum, default_value_t = SignerAlgorithm::Es256)]
    algorithm: SignerAlgorithm,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Signer {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let name: Name = self.name.parse()?;
        let passphrase = self.passphrase.read()?;
        let directory = self.folder.directory();
        let mut book = directory.book().context("open the folder")?;
        directory.check_free(&name).context("store the signer")?;
        let roles = [Role::Intermediate, Role::Partner];
        let under = choose_authority(&directory, self.under.as_ref(), &roles)?;
        let issuer = open_authority(&directory, &book, &under, &passphrase)?;
        let validity = now..days_after(now, self.valid_days);
        let made = issuer.signer(self.algorithm.into(), &self.name, validity).context("make the signer")?;
        let (chain, key) = (made.chain_pem()?, made.key_pem(&passphrase)?);
        let place = (Shelf::Signers, &name, Some(&under));
        keep(&directory, &mut book, now, place, (&chain, &key)).context("store the signer")
    }
}
