//! The one-time token of a link: the request it is for, and 256 random bits.

use std::{borrow::Cow, fmt};

use sdk::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A text of a message that is never printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidential(String);

impl Confidential {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Confidential {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confidential(…)")
    }
}

impl JsonSchema for Confidential {
    fn schema_name() -> Cow<'static, str> {
        "Confidential".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": MAX_LENGTH, "writeOnly": true })
    }
}

/// Longer than any token or proof there is.
const MAX_LENGTH: usize = 4096;

/// A token that was just made. Only its hash is kept.
pub(crate) struct Token(SecretString);

impl Token {
    pub(crate) fn mint(request: Uuid, ambient: &Ambient) -> Self {
        Self(format!("{}.{}", request.simple(), hex::encode(ambient.bytes::<32>())).into())
    }

    /// The token as its link carries it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn hash(&self) -> String {
        hash(self.expose())
    }
}

/// The request that a token claims to be for.
pub(crate) fn request_of(token: &Confidential) -> Option<Uuid> {
    let text = token.expose();
    if text.len() > MAX_LENGTH {
        return None;
    }
    text.split_once('.')?.0.parse().ok()
}

/// Whether it is the token that this hash was kept of. Takes as long whether it is or not.
pub(crate) fn matches(token: &Confidential, kept: &str) -> bool {
    // Nothing has an empty hash, so what has no token any more matches none.
    hash(token.expose()).as_bytes().ct_eq(kept.as_bytes()).into()
}

/// Bound to what it is for: a token of another purpose has another hash here.
fn hash(token: &str) -> String {
    hex::encode(Sha256::new().chain_update("signup.requests.confirm\0").chain_update(token).finalize())
}
