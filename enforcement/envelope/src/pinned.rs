//! The key format: a compact JWS with Ed25519 against public keys that the vendor's build names (semantics 3.1).

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{
    claims::Claims,
    error::{EnvelopeError, excerpt},
    jws::Compact,
    key::{KeyError, PublicKey, SignatureAlgorithm},
    verified::VerifiedLicense,
};

/// Public keys by `kid`, several at once so that a signing key can rotate. They come with the program, never from its
/// configuration.
#[derive(Clone)]
pub struct PinnedKeys(BTreeMap<String, PublicKey>);

/// Why keys cannot be pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinnedKeyError {
    /// Not a public Ed25519 key as a JWK (RFC 8037, section 2).
    #[error("the key `{kid}` is not a public Ed25519 key as a JWK")]
    NotEd25519 {
        /// Its name.
        kid: String,
    },
    /// Two keys have one name.
    #[error("two keys are named `{kid}`")]
    Twice {
        /// The name.
        kid: String,
    },
}

impl PinnedKeys {
    /// None: the key format is refused.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// These, each a `kid` and the JWK of a public Ed25519 key.
    pub fn new<'k>(
        keys: impl IntoIterator<Item = (&'k str, &'k Map<String, Value>)>,
    ) -> Result<Self, PinnedKeyError> {
        let mut pinned = BTreeMap::new();
        for (kid, jwk) in keys {
            let refused = |_: KeyError| PinnedKeyError::NotEd25519 { kid: kid.to_owned() };
            let is_ed25519 = jwk.get("crv").is_some_and(|curve| curve == "Ed25519") && !jwk.contains_key("d");
            let key = if is_ed25519 { PublicKey::from_jwk(jwk) } else { Err(KeyError::Unsupported) };
            if pinned.insert(kid.to_owned(), key.map_err(refused)?).is_some() {
                return Err(PinnedKeyError::Twice { kid: kid.to_owned() });
            }
        }
        Ok(Self(pinned))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Opens a license in key format and verifies everything about it but validity in time and binding. It is signed and not
/// encrypted, and no certificates stand behind it, so it neither expires before its claims say nor can be revoked.
pub fn open_key(token: &str, keys: &PinnedKeys) -> Result<VerifiedLicense, EnvelopeError> {
    let compact = Compact::parse(token.trim(), &["alg", "kid", "typ"])?;
    let algorithm = SignatureAlgorithm::EdDsa;
    compact.header.one_of("alg", &[(algorithm.name(), ())])?;
    let kid = compact.header.text("kid")?.ok_or_else(|| compact.header.lacks("kid"))?;
    let key = keys.0.get(kid).ok_or_else(|| EnvelopeError::UnknownKey { found: excerpt(kid) })?;
    let payload = compact.verify(key, algorithm)?;
    Ok(VerifiedLicense::under_key(Claims::parse(&payload)?, key.fingerprint()))
}

impl fmt::Debug for PinnedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
