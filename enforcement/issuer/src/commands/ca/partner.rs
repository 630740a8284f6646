use anyhow::{Context as _, Result, bail};
use chancery_issuer::{Name, Shelf};
use clap::Args;
use envelope::{authoring::Role, oid::ObjectIdentifier};
use jiff::Timestamp;

use super::{AuthorityAlgorithm, choose_authority, keep, open_authority};
use crate::commands::{
    Folder,
    catalog::{CatalogFiles, policies},
    days_after,
    passphrase::Passphrase,
};

#[derive(Args)]
pub(crate) struct Partner {
    #[command(flatten)]
    folder: Folder,
    /// Name in the certificate; it also names the files.
    #[arg(long)]
    name: String,
    /// Products it may sign for, by their ids in the catalog.
    #[arg(long = "product", value_name = "ID", required = true, num_args = 1..)]
    products: Vec<String>,
    #[command(flatten)]
    catalog: CatalogFiles,
    /// The authority above it; the only intermediate, or the root, if none is named.
    #[arg(long, value_name = "NAME")]
    under: Option<Name>,
    /// Days the certificate is valid.
    #[arg(long, default_value_t = 1825)]
    valid_days: u32,
    /// How its key signs.
    #[arg(long, value_enum, default_value_t = AuthorityAlgorithm::Es256)]
    algorithm: AuthorityAlgorithm,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Partner {
    pub(crate) fn run(self, now: Timestamp) -> Result<()> {
        let name: Name = self.name.parse()?;
        let products = self.policies()?;
        let passphrase = self.passphrase.read()?;
        let directory = self.folder.directory();
        let mut book = directory.book().context("open the folder")?;
        directory.check_free(&name).context("store the partner")?;
        let under = choose_authority(&directory, self.under.as_ref(), &[Role::Intermediate])?;
        let issuer = open_authority(&directory, &book, &under, &passphrase)?;
        let validity = now..days_after(now, self.valid_days);
        let made = issuer.partner(self.algorithm.curve(), &self.name, validity, &products);
        let made = made.context("make the partner")?;
        let (chain, key) = (made.chain_pem()?, made.key_pem(&passphrase)?);
        let place = (Shelf::Authorities, &name, Some(&under));
        keep(&directory, &mut book, now, place, (&chain, &key)).context("store the partner")
    }

    /// The policies that stand for its products.
    fn policies(&self) -> Result<Vec<ObjectIdentifier>> {
        let Some(catalog) = self.catalog.read()? else {
            bail!("find the policies of the products: give --catalog");
        };
        let known = policies(Some(&catalog))?;
        let stated = self.products.iter().map(|product| match known.get(product) {
            Some(policy) => Ok(*policy),
            None if catalog.products().any(|sold| sold.id == *product) => {
                bail!("let a partner sign for `{product}`: the catalog states no policy for it")
            }
            None => bail!("let a partner sign for `{product}`: the catalog has no such product"),
        });
        stated.collect()
    }
}
