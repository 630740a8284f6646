use std::path::PathBuf;

use schemars::JsonSchema;
use secrets::Mounted;
use serde::Deserialize;

use crate::Config;

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

impl Config {
    /// What gives secrets by their references. `environment` is that of the process.
    pub fn secret_source(&self, environment: impl IntoIterator<Item = (String, String)>) -> Mounted {
        Mounted::new(environment, &self.secrets.kubernetes_mount)
    }
}
