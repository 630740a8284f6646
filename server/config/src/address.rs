use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrets::{NotAReference, SecretRef};
use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;

/// An address that some deployments must keep secret. One that holds a password is named by a reference; others may stand
/// as they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// It itself.
    Stated(String),
    /// It is a secret, and here.
    At(SecretRef),
}

/// Without what may be secret all the same.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stated(text) => write!(f, "{}:…", text.split(':').next().unwrap_or_default()),
            Self::At(reference) => write!(f, "{reference}"),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        secrets::unquoted(deserializer, |text| match text.parse() {
            Ok(reference) => Ok(Self::At(reference)),
            Err(reason) if holds_password(text) => Err(format!("it holds a password: {reason}")),
            Err(NotAReference) => Ok(Self::Stated(text.to_owned())),
        })
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// Whether somebody wrote a password into an address: before its host, or as a parameter. Of one that cannot be read, any user
/// is taken to have one.
fn holds_password(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return text.contains('@') };
    url.password().is_some()
        || url.query_pairs().any(|(name, _)| name.to_ascii_lowercase().ends_with("password"))
}

/// An address in which nothing is kept secret.
pub(crate) fn open<'de, D: Deserializer<'de>>(value: D) -> Result<Url, D::Error> {
    let text = String::deserialize(value)?;
    if holds_password(&text) {
        return Err(D::Error::custom("a password does not stand in an address"));
    }
    text.parse().map_err(|error| D::Error::custom(format!("expected an address: {error}")))
}
