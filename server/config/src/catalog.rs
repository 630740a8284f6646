//! `[catalog]`: what this deployment sells beside what its modules do.

use std::{fs, path::PathBuf};

use descriptors::catalog::Catalog;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Config, ConfigError, Origin};

/// `[catalog]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CatalogFiles {
    /// Files with products, editions, features and quotas of this deployment's own. They may refer to what modules list,
    /// and must not list it again.
    #[schemars(with = "Vec<String>", extend("items" = { "type": "string", "format": "path" }))]
    pub slices: Vec<PathBuf>,
}

impl Config {
    /// What this program knows to sell, with what this deployment adds.
    pub fn catalog(&self) -> Result<Catalog, ConfigError> {
        let read = |path: &PathBuf| {
            let unreadable = |source| ConfigError::Unreadable { path: path.clone(), source };
            Ok((path.display().to_string(), fs::read_to_string(path).map_err(unreadable)?))
        };
        let slices = self.catalog.slices.iter().map(read).collect::<Result<Vec<_>, ConfigError>>()?;
        let slices = slices.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Catalog::linked_and(slices).map_err(|error| {
            let causes =
                std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let causes: Vec<_> =
                causes.map(|error| error.to_string().trim_end().replace('\n', " ")).collect();
            ConfigError::Refused {
                origin: Origin::Key("catalog.slices".to_owned()),
                message: causes.join(": "),
            }
        })
    }
}
