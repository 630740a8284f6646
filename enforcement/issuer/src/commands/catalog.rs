use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use descriptors::catalog::Catalog;
use envelope::oid::ObjectIdentifier;

use super::read;

#[derive(Args)]
pub(crate) struct CatalogFiles {
    /// What is sold: the catalog's TOML files, one for each module.
    #[arg(long = "catalog", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
}

impl CatalogFiles {
    /// The catalog, or none if no file is given.
    pub(crate) fn read(&self) -> Result<Option<Catalog>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let texts = self.files.iter().map(|file| Ok((file.display().to_string(), read(file)?)));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let slices = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        // The slice is named by the error itself, what is wrong with it by the error beneath.
        Catalog::assemble(slices).map(Some).context("read the catalog")
    }
}

/// The policy of each product that has one.
pub(crate) fn policies(catalog: Option<&Catalog>) -> Result<BTreeMap<String, ObjectIdentifier>> {
    let products = catalog.into_iter().flat_map(Catalog::products);
    let stated = products.filter_map(|product| Some((product, product.policy.as_deref()?)));
    stated
        .map(|(product, policy)| match ObjectIdentifier::new(policy) {
            Ok(policy) => Ok((product.id.clone(), policy)),
            Err(error) => bail!("read the policy `{policy}` of product `{}`: {error}", product.id),
        })
        .collect()
}
