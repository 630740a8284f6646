use std::{borrow::Cow, fmt};

use schemars::{Schema, SchemaGenerator, json_schema};
use sdk::prelude::*;
use serde::{Deserializer, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The longest secret that is taken, in bytes.
pub const MAX_SECRET_BYTES: usize = 1024;

/// A password, a token or a code. It does not print, is compared in constant time, and leaves memory when it is dropped.
#[derive(Clone, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// 256 random bits behind this prefix.
    pub(crate) fn random(ambient: &Ambient, prefix: &str) -> Self {
        Self(Zeroizing::new(format!("{prefix}{}", hex::encode(ambient.bytes::<32>()))))
    }

    /// What the database holds instead: nothing but the secret leads to it, and a secret of 256 random bits is not guessed.
    pub(crate) fn hash(&self) -> String {
        hash(self.expose())
    }
}

pub(crate) fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// For answers that tell a secret once, and for the fingerprint under an idempotency key.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's own words would quote what is not a text.
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("expected a text"))?;
        if text.len() > MAX_SECRET_BYTES {
            return Err(D::Error::custom(format!("expected at most {MAX_SECRET_BYTES} bytes")));
        }
        Ok(text.into())
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "maxLength": MAX_SECRET_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_and_no_error_quotes_it() {
        let secret: Secret = serde_json::from_str("\"canary\"").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for bad in ["{\"canary\": 1}", "[\"canary\"]", "17", &format!("\"{}\"", "canary".repeat(200))] {
            let error = serde_json::from_str::<Secret>(bad).unwrap_err().to_string();
            assert!(!error.contains("canary") && !error.contains("17"), "{error}");
        }
    }
}
