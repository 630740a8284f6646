use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// `[server.tls]`: at least TLS 1.2. Both files are read again when they change.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tls {
    /// The certificate and what leads to its root, in PEM, leaf first.
    #[schemars(extend("format" = "path"))]
    pub certificate_path: PathBuf,
    /// The certificate's private key, in PEM, without a passphrase.
    #[schemars(extend("format" = "path"))]
    pub private_key_path: PathBuf,
}
