//! A JOSE header, accepted by an allow-list: what is not named is refused, and so is a name that stands twice.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use crate::{
    error::{EnvelopeError, Layer, excerpt},
    json,
    key::SignatureAlgorithm,
};

pub(crate) struct Header {
    layer: Layer,
    parameters: Map<String, Value>,
}

impl Header {
    /// Reads a protected header that carries `accepted` parameters only.
    pub(crate) fn parse(layer: Layer, encoded: &str, accepted: &[&str]) -> Result<Self, EnvelopeError> {
        let json = decode(layer, "header", encoded)?;
        json::check(&json).map_err(|_| EnvelopeError::Header { layer })?;
        let parameters: Map<String, Value> =
            serde_json::from_slice(&json).map_err(|_| EnvelopeError::Header { layer })?;
        match parameters.keys().find(|name| !accepted.contains(&name.as_str())) {
            Some(name) => Err(EnvelopeError::HeaderParameter { layer, name: excerpt(name) }),
            None => Ok(Self { layer, parameters }),
        }
    }

    /// The accepted value that an algorithm parameter names.
    pub(crate) fn one_of<A: Copy>(
        &self,
        name: &'static str,
        accepted: &[(&'static str, A)],
    ) -> Result<A, EnvelopeError> {
        let found = self.text(name)?.ok_or_else(|| self.lacks(name))?;
        accepted.iter().find(|(known, _)| *known == found).map(|(_, algorithm)| *algorithm).ok_or_else(|| {
            let names: Vec<&str> = accepted.iter().map(|(known, _)| *known).collect();
            EnvelopeError::Algorithm {
                layer: self.layer,
                name,
                found: excerpt(found),
                accepted: names.join("`, `"),
            }
        })
    }

    /// The algorithm a JWS is signed with.
    pub(crate) fn signature_algorithm(&self) -> Result<SignatureAlgorithm, EnvelopeError> {
        self.one_of("alg", &SignatureAlgorithm::ALL.map(|algorithm| (algorithm.name(), algorithm)))
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

    pub(crate) const fn lacks(&self, name: &'static str) -> EnvelopeError {
        EnvelopeError::HeaderLacks { layer: self.layer, name }
    }
}

/// Unpadded, canonical base64url (RFC 7515, section 2).
pub(crate) fn decode(layer: Layer, part: &'static str, encoded: &str) -> Result<Vec<u8>, EnvelopeError> {
    Base64UrlUnpadded::decode_vec(encoded).map_err(|_| EnvelopeError::Encoding { layer, part })
}
