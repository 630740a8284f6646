//! To whom licenses are sealed: this deployment's key, and its public half for the vendor.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use josekit::{
    jwe::{
        ECDH_ES_A256KW,
        alg::ecdh_es::{EcdhEsJweDecrypter, EcdhEsJweEncrypter},
    },
    jwk::Jwk,
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::{PKey, PKeyRef, Private},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::jwe::KEY_MANAGEMENT;

/// This deployment's private key: EC P-256, for `ECDH-ES+A256KW`. Prints as its key id.
pub struct Recipient {
    key: PKey<Private>,
    decrypter: EcdhEsJweDecrypter,
    public: RecipientPublic,
}

/// The public half of a [`Recipient`], as the vendor gets it: a JWK (RFC 7517) of `kty` `EC`, `crv` `P-256`, with `kid`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
#[schemars(with = "Map<String, Value>")]
pub struct RecipientPublic {
    key_id: String,
    jwk: Map<String, Value>,
    encrypter: EcdhEsJweEncrypter,
}

/// What a deployment sends to the vendor to be licensed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LicenseRequest {
    /// The installation the license will be bound to. Not empty.
    pub installation_id: String,
    /// The key it will be sealed to.
    pub recipient: RecipientPublic,
}

/// Why a key cannot be a recipient's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The key id is empty or longer than 128 bytes.
    #[error("the recipient's key id has {bytes} bytes, 1 to 128 are accepted")]
    KeyId {
        /// Length of the key id.
        bytes: usize,
    },
    /// Not a private key in unencrypted PEM.
    #[error("the recipient's key is not an unencrypted private key in PEM")]
    Pem,
    /// Not an EC key on P-256.
    #[error("the recipient's key is not an EC key on P-256")]
    Curve,
    /// The JWK is not a P-256 public key for `ECDH-ES+A256KW` with a `kid`.
    #[error("the recipient is not a JWK of a P-256 public key for `ECDH-ES+A256KW` with a `kid`")]
    Jwk,
    /// The JWK holds a private key. Whoever sent it must make another one.
    #[error("the recipient's JWK holds a private key; it has left its deployment and must be replaced")]
    PrivateJwk,
    /// OpenSSL failed to make or to write a key.
    #[error("openssl failed on the recipient's key")]
    Crypto,
}

impl Recipient {
    /// Makes a new key from OpenSSL's randomness.
    pub fn generate(key_id: &str) -> Result<Self, RecipientError> {
        let key = new_key().map_err(|_| RecipientError::Crypto)?;
        Self::new(key_id, key)
    }

    /// Reads a private key, PKCS#8 or SEC 1, not encrypted.
    pub fn from_pem(key_id: &str, pem: &str) -> Result<Self, RecipientError> {
        // A passphrase is stated because OpenSSL would otherwise ask for one on the terminal.
        let key =
            PKey::private_key_from_pem_passphrase(pem.as_bytes(), b"").map_err(|_| RecipientError::Pem)?;
        Self::new(key_id, key)
    }

    /// The key as PKCS#8 PEM, not encrypted. Memory is wiped when it is dropped.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, RecipientError> {
        let pem = self.key.private_key_to_pem_pkcs8().map_err(|_| RecipientError::Crypto)?;
        String::from_utf8(pem).map(Zeroizing::new).map_err(|_| RecipientError::Crypto)
    }

    /// The name of the key, `kid` in tokens sealed to it.
    pub fn key_id(&self) -> &str {
        &self.public.key_id
    }

    /// What the vendor needs to seal a license to this key.
    pub fn public(&self) -> RecipientPublic {
        self.public.clone()
    }

    /// For signing requests.
    pub(crate) fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }

    pub(crate) const fn decrypter(&self) -> &EcdhEsJweDecrypter {
        &self.decrypter
    }

    fn new(key_id: &str, key: PKey<Private>) -> Result<Self, RecipientError> {
        if !(1..=128).contains(&key_id.len()) {
            return Err(RecipientError::KeyId { bytes: key_id.len() });
        }
        let [x, y] = coordinates(&key).map_err(|_| RecipientError::Curve)?.ok_or(RecipientError::Curve)?;
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": key_id, "alg": KEY_MANAGEMENT, "use": "enc",
        });
        let public = serde_json::from_value(jwk).map_err(|_| RecipientError::Curve)?;
        let pkcs8 = key.private_key_to_pkcs8().map(Zeroizing::new).map_err(|_| RecipientError::Curve)?;
        let decrypter = ECDH_ES_A256KW.decrypter_from_der(&*pkcs8).map_err(|_| RecipientError::Curve)?;
        Ok(Self { key, decrypter, public })
    }
}

impl RecipientPublic {
    /// The name of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) const fn encrypter(&self) -> &EcdhEsJweEncrypter {
        &self.encrypter
    }
}

impl TryFrom<Map<String, Value>> for RecipientPublic {
    type Error = RecipientError;

    fn try_from(jwk: Map<String, Value>) -> Result<Self, RecipientError> {
        if jwk.contains_key("d") {
            return Err(RecipientError::PrivateJwk);
        }
        if jwk.get("crv").and_then(Value::as_str) != Some("P-256") {
            return Err(RecipientError::Jwk);
        }
        let parsed = Jwk::from_map(jwk.clone()).map_err(|_| RecipientError::Jwk)?;
        let key_id = parsed.key_id().filter(|id| (1..=128).contains(&id.len())).ok_or(RecipientError::Jwk)?;
        let encrypter = ECDH_ES_A256KW.encrypter_from_jwk(&parsed).map_err(|_| RecipientError::Jwk)?;
        Ok(Self { key_id: key_id.to_owned(), jwk, encrypter })
    }
}

impl From<RecipientPublic> for Map<String, Value> {
    fn from(recipient: RecipientPublic) -> Self {
        recipient.jwk
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.key_id())
    }
}

impl fmt::Debug for RecipientPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientPublic({})", self.key_id)
    }
}

/// A new key on P-256, the one curve of this crate.
pub(crate) fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&curve)?)
}

/// The public point as a JWK writes it (RFC 7518, 6.2.1), or `None` for a key that is not on P-256.
fn coordinates(key: &PKey<Private>) -> Result<Option<[String; 2]>, ErrorStack> {
    let key = key.ec_key()?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
        return Ok(None);
    }
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
    let text = |n: &BigNum| Ok(Base64UrlUnpadded::encode_string(&n.to_vec_padded(32)?));
    Ok(Some([text(&x)?, text(&y)?]))
}
