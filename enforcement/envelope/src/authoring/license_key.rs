use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use openssl::pkey::{Id, PKey, Private};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::storage;
use crate::{
    claims::Claims,
    key::SignatureAlgorithm,
    mint::{AuthoringError, bounded, payload},
    signing,
};

/// A private Ed25519 key for licenses in key format (semantics 3.1). A vendor's build pins its public half by `kid`,
/// several at once so that a signing key can rotate. No certificate stands behind it: it is revoked by a new build.
pub struct LicenseKey {
    kid: String,
    key: PKey<Private>,
}

impl LicenseKey {
    /// Makes a new key. Its name has 1 to 128 characters without white space.
    pub fn create(kid: &str) -> Result<Self, AuthoringError> {
        Self::new(kid, PKey::generate_ed25519()?)
    }

    /// Reads a stored key.
    pub fn from_pem(kid: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        let key = storage::private_key(key, passphrase)?;
        if key.id() == Id::ED25519 { Self::new(kid, key) } else { Err(AuthoringError::Unsigning) }
    }

    fn new(kid: &str, key: PKey<Private>) -> Result<Self, AuthoringError> {
        if !(1..=128).contains(&kid.chars().count())
            || kid.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(AuthoringError::KeyId { kid: kid.to_owned() });
        }
        Ok(Self { kid: kid.to_owned(), key })
    }

    /// The name of the key, `kid` in the licenses it signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key, encrypted. An empty passphrase is refused.
    pub fn key_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
        storage::key_pem(&self.key, passphrase)
    }

    /// The public half as a JWK (RFC 8037, section 2), for the vendor's build to pin.
    pub fn public_jwk(&self) -> Result<Map<String, Value>, AuthoringError> {
        let x = Base64UrlUnpadded::encode_string(&self.key.raw_public_key()?);
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig",
            "alg": SignatureAlgorithm::EdDsa.name(),
        });
        Ok(jwk.as_object().cloned().unwrap_or_default())
    }

    /// Signs claims as a license in key format: readable by all, bound by its claims alone. Claims that would not open are
    /// refused, and so are asserted policies, which no certificate could back.
    pub fn seal(&self, claims: &Claims) -> Result<String, AuthoringError> {
        let payload = payload(claims)?;
        if !claims.asserted_policies.is_empty() {
            return Err(AuthoringError::PolicyUnderKey);
        }
        let algorithm = SignatureAlgorithm::EdDsa;
        let header = json!({ "alg": algorithm.name(), "kid": self.kid });
        bounded(signing::compact(&header, &payload, algorithm, &self.key)?)
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.kid)
    }
}
