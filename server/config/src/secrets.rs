use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use secrecy::SecretString;
use secrets::{Mounted, Secret, SecretError, SecretRef, SecretSource as _};
use serde::Deserialize;

use crate::{Address, Config, ConfigError};

/// `[secrets]`: where secrets are that are named by a reference.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Secrets {
    /// The folder beneath which `k8s:NAME/KEY` is looked for: each Kubernetes secret is mounted there in a folder of its
    /// name.
    #[schemars(extend("format" = "path"))]
    pub kubernetes_mount: PathBuf,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { kubernetes_mount: "/var/run/secrets/chancery".into() }
    }
}

/// What gives the secrets that a configuration names, and which those are, each by its key.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    source: Arc<Mounted>,
    keys: Vec<(String, SecretRef)>,
}

impl Named {
    /// None, and nobody who could give them.
    pub(crate) fn none() -> Self {
        Self { source: Arc::new(Mounted::new([], "")), keys: Vec::new() }
    }
}

impl Config {
    /// Takes secrets from this environment and the configured folder.
    pub(crate) fn naming(
        self,
        environment: impl IntoIterator<Item = (String, String)>,
        keys: Vec<(String, SecretRef)>,
    ) -> Self {
        let source = Arc::new(Mounted::new(environment, &self.secrets.kubernetes_mount));
        Self { named: Named { source, keys }, ..self }
    }

    /// What a reference of this configuration names, to be read when it is needed.
    pub fn secret(&self, reference: &SecretRef) -> Secret {
        Secret::new(reference.clone(), Arc::clone(&self.named.source) as _)
    }

    /// An address, wherever it stands.
    pub fn address(&self, address: &Address) -> Result<SecretString, SecretError> {
        match address {
            Address::Stated(text) => Ok(text.clone().into()),
            Address::At(reference) => self.named.source.read(reference),
        }
    }

    /// Reads every secret that is named, and names those that cannot be had.
    pub fn try_secrets(&self) -> Result<usize, ConfigError> {
        let try_one = |(key, reference): &(String, SecretRef)| {
            Some((key.clone(), self.named.source.read(reference).err()?))
        };
        let lacking: Vec<_> = self.named.keys.iter().filter_map(try_one).collect();
        if lacking.is_empty() {
            Ok(self.named.keys.len())
        } else {
            Err(ConfigError::Secrets(Lacking(lacking)))
        }
    }
}

/// Secrets that cannot be had, each by its key.
#[derive(Debug)]
pub struct Lacking(Vec<(String, SecretError)>);

impl Lacking {
    pub(crate) fn one(key: &str, error: SecretError) -> Self {
        Self(vec![(key.to_owned(), error)])
    }
}

impl std::fmt::Display for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (key, error)) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}`{key}`: {error}")?;
            if let Some(cause) = std::error::Error::source(error) {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}
