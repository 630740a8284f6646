//! A JOSE header, accepted by an allow-list: what is not named is refused.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use crate::error::{EnvelopeError, Layer, excerpt};

pub(crate) struct Header {
    layer: Layer,
    parameters: Map<String, Value>,
}

impl Header {
    /// Reads a protected header that carries `accepted` parameters only. Of a repeated name the last counts (RFC 7515,
    /// section 4), for us and for josekit alike.
    pub(crate) fn parse(layer: Layer, encoded: &str, accepted: &[&str]) -> Result<Self, EnvelopeError> {
        let json = decode(layer, "header", encoded)?;
        let parameters: Map<String, Value> =
            serde_json::from_slice(&json).map_err(|_| EnvelopeError::Header { layer })?;
        match parameters.keys().find(|name| !accepted.contains(&name.as_str())) {
            Some(name) => Err(EnvelopeError::HeaderParameter { layer, name: excerpt(name) }),
            None => Ok(Self { layer, parameters }),
        }
    }

    /// Requires an algorithm parameter to name the one that is accepted.
    pub(crate) fn algorithm(&self, name: &'static str, accepted: &'static str) -> Result<(), EnvelopeError> {
        match self.parameters.get(name).and_then(Value::as_str) {
            Some(found) if found == accepted => Ok(()),
            Some(found) => {
                Err(EnvelopeError::Algorithm { layer: self.layer, name, found: excerpt(found), accepted })
            }
            None => Err(self.lacks(name)),
        }
    }

    /// An optional text.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, EnvelopeError> {
        self.parameters.get(name).map(|value| value.as_str().ok_or_else(|| self.lacks(name))).transpose()
    }

    /// A required list of texts.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Vec<&str>, EnvelopeError> {
        self.parameters
            .get(name)
            .and_then(Value::as_array)
            .and_then(|items| items.iter().map(Value::as_str).collect())
            .ok_or_else(|| self.lacks(name))
    }

    fn lacks(&self, name: &'static str) -> EnvelopeError {
        EnvelopeError::HeaderLacks { layer: self.layer, name }
    }
}

/// Unpadded, canonical base64url (RFC 7515, section 2).
pub(crate) fn decode(layer: Layer, part: &'static str, encoded: &str) -> Result<Vec<u8>, EnvelopeError> {
    Base64UrlUnpadded::decode_vec(encoded).map_err(|_| EnvelopeError::Encoding { layer, part })
}
