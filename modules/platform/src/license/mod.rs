//! The license this deployment runs under.

pub mod install;
pub mod preview;
pub mod simulate;
pub mod status;
pub mod uninstall;

use std::{borrow::Cow, fmt};

use schemars::{Schema, SchemaGenerator, json_schema};
use sdk::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserializer, Serializer, de::Error as _};

/// The longest text that is taken for a license, in bytes: an armored one of the longest kind.
pub const MAX_LICENSE_BYTES: usize = 384 * 1024;

/// A license as an operator hands it in, in compact or armored form. It goes in and never comes out: it does not print, and
/// no answer, event or error holds it.
#[derive(Clone)]
pub struct LicenseText(SecretString);

impl LicenseText {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for LicenseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LicenseText(…)")
    }
}

/// For the fingerprint under an idempotency key, which is all that a message is written for.
impl Serialize for LicenseText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for LicenseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Serde's own words would quote what is not a text.
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("expected a license"))?;
        if text.len() > MAX_LICENSE_BYTES {
            return Err(D::Error::custom(format!("a license has at most {MAX_LICENSE_BYTES} bytes")));
        }
        Ok(Self(text.into()))
    }
}

impl JsonSchema for LicenseText {
    fn schema_name() -> Cow<'static, str> {
        "LicenseText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A license, in compact or armored form.",
            "type": "string",
            "maxLength": MAX_LICENSE_BYTES,
            "writeOnly": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_license_that_was_handed_in_does_not_print() {
        let text: LicenseText = serde_json::from_str("\"eyJ.canary\"").unwrap();
        assert_eq!(format!("{text:?}"), "LicenseText(…)");
        assert_eq!(text.expose(), "eyJ.canary");
        for bad in ["{\"canary\": 1}", "[\"canary\"]", "17"] {
            let error = serde_json::from_str::<LicenseText>(bad).unwrap_err().to_string();
            assert!(error.starts_with("expected a license") && !error.contains("canary"), "{error}");
        }
    }
}
