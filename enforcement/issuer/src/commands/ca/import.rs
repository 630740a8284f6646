use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use chancery_issuer::{Directory, Name, Shelf};
use clap::Args;
use envelope::authoring::{CertificateSummary, Moved, Role, certificates};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::keep;
use crate::commands::{
    Folder,
    passphrase::{Passphrase, from_file},
};

#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    folder: Folder,
    /// PKCS#12, or PEM with certificate, chain and key.
    file: PathBuf,
    /// Its name in the folder.
    #[arg(long = "as", value_name = "NAME")]
    name: Name,
    /// File with the passphrase that the file is encrypted under; the folder's own if none is given.
    #[arg(long = "import-passphrase-file", value_name = "FILE")]
    outside: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Import {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let outside = match &self.outside {
            Some(file) => from_file(file)?,
            None => passphrase.clone(),
        };
        let content = fs::read(&self.file).map(Zeroizing::new);
        let content = content.with_context(|| format!("read `{}`", self.file.display()))?;
        let moved = match std::str::from_utf8(&content) {
            Ok(text) if text.contains("-----BEGIN ") => Moved::from_pem(text, text, &outside),
            _ => Moved::from_pkcs12(&content, &outside),
        };
        let moved = moved.with_context(|| format!("import `{}`", self.file.display()))?;
        let on = match moved {
            Moved::Authority(_) => Shelf::Authorities,
            Moved::Signer(_) => Shelf::Signers,
        };
        let (chain, key) = (moved.chain_pem()?, moved.key_pem(&passphrase)?);

        let directory = self.folder.directory();
        directory.make().context("store the import")?;
        let mut book = directory.book()?;
        let issuer = issuer(&directory, &certificates(&chain)?)?;
        let place = (on, &self.name, issuer.as_ref());
        keep(&directory, &mut book, now, place, (&chain, &key)).context("store the import")
    }
}

/// The authority of this folder that issued the first certificate of a chain.
fn issuer(directory: &Directory, chain: &[CertificateSummary]) -> Result<Option<Name>> {
    let Some(certificate) = chain.first().filter(|first| first.role != Role::Root) else { return Ok(None) };
    for name in directory.names(Shelf::Authorities)? {
        let authority = directory.certificates(Shelf::Authorities, &name)?;
        // Names are the vendor's own to give, and the key proved the rest when the chain was read.
        let is_issuer = match chain.get(1) {
            Some(above) => authority.first().is_some_and(|first| first.fingerprint == above.fingerprint),
            None => authority
                .first()
                .is_some_and(|first| first.role == Role::Root && first.subject == certificate.issuer),
        };
        if is_issuer {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
