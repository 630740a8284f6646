use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use chancery_issuer::{Name, write_new};
use clap::Args;
use zeroize::Zeroizing;

use crate::commands::{
    Folder,
    passphrase::{Passphrase, from_file},
};

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    folder: Folder,
    /// Which authority or signer.
    name: Name,
    /// Where it goes: `.p12` (PKCS#12) or `.pem`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with the passphrase that the new file is encrypted under; the folder's own if none is given.
    #[arg(long = "export-passphrase-file", value_name = "FILE")]
    outside: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Export {
    pub(crate) fn run(self) -> Result<()> {
        let passphrase = self.passphrase.read()?;
        let outside = match &self.outside {
            Some(file) => from_file(file)?,
            None => passphrase.clone(),
        };
        let made = self.folder.directory().open(&self.name, &passphrase)?;
        let content = Zeroizing::new(match self.out.extension().and_then(|extension| extension.to_str()) {
            Some("p12" | "pfx") => made.to_pkcs12(&outside)?,
            Some("pem") => [&made.chain_pem()?, &**made.key_pem(&outside)?].concat().into_bytes(),
            _ => bail!("write `{}`: its name ends in neither `.p12` nor `.pem`", self.out.display()),
        });
        write_new(&self.out, &*content, 0o600).context("write the export")?;
        eprintln!("exported `{}` with its encrypted key to `{}`", self.name, self.out.display());
        Ok(())
    }
}
