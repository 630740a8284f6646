//! To whom licenses are sealed: this deployment's key, and its public half for the vendor.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use josekit::{
    jwe::{ECDH_ES_A256KW, JweDecrypter, JweEncrypter, RSA_OAEP_256},
    jwk::{
        Jwk, KeyPair as _,
        alg::{ec::EcKeyPair, ecx::EcxKeyPair, rsa::RsaKeyPair},
    },
};
use openssl::{
    bn::{BigNum, BigNumContext, BigNumRef},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::{Id, PKey, PKeyRef, Private},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    key::{self, RSA_MODULUS_BITS},
    state::StateKey,
};

/// How the content's key reaches the recipient (semantics 3.2). Nothing else is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyManagement {
    /// RFC 7518, 4.6, on P-256 or X25519 (RFC 8037).
    EcdhEsA256Kw,
    /// RFC 7518, 4.3, with SHA-256.
    RsaOaep256,
}

impl KeyManagement {
    pub(crate) const ALL: [Self; 2] = [Self::EcdhEsA256Kw, Self::RsaOaep256];

    /// As `alg` spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
            Self::RsaOaep256 => "RSA-OAEP-256",
        }
    }
}

/// This deployment's private key: EC on P-256 or X25519 for `ECDH-ES+A256KW`, RSA of [`RSA_MODULUS_BITS`] for
/// `RSA-OAEP-256`. Prints as its key id.
pub struct Recipient {
    key: PKey<Private>,
    management: KeyManagement,
    decrypter: Box<dyn JweDecrypter>,
    public: RecipientPublic,
}

/// The public half of a [`Recipient`], as the vendor gets it: a JWK (RFC 7517) with `kid`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
#[schemars(with = "Map<String, Value>")]
pub struct RecipientPublic {
    key_id: String,
    jwk: Map<String, Value>,
    encrypter: Box<dyn JweEncrypter>,
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
    /// Not an EC key on P-256, an X25519 key or an RSA key within bounds.
    #[error(
        "the recipient's key is not an EC key on P-256, an X25519 key or an RSA key of {} to {} bits",
        RSA_MODULUS_BITS.start(),
        RSA_MODULUS_BITS.end()
    )]
    Unsupported,
    /// The JWK is not such a public key with a `kid`, or is meant for something else.
    #[error("the recipient is not a JWK of a public key for `ECDH-ES+A256KW` or `RSA-OAEP-256` with a `kid`")]
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

    /// Reads a private key as a JWK (RFC 7517): `EC` on P-256, `OKP` on X25519, `RSA`.
    pub fn from_jwk(key_id: &str, jwk: &Map<String, Value>) -> Result<Self, RecipientError> {
        let parsed = Jwk::from_map(jwk.clone()).map_err(|_| RecipientError::Jwk)?;
        let key = match jwk.get("kty").and_then(Value::as_str) {
            Some("EC") => EcKeyPair::from_jwk(&parsed).map(|pair| pair.to_der_private_key()),
            Some("OKP") => EcxKeyPair::from_jwk(&parsed).map(|pair| pair.to_der_private_key()),
            Some("RSA") => RsaKeyPair::from_jwk(&parsed).map(|pair| pair.to_der_private_key()),
            _ => return Err(RecipientError::Unsupported),
        };
        let key = key.map(Zeroizing::new).map_err(|_| RecipientError::Jwk)?;
        Self::new(key_id, PKey::private_key_from_der(&key).map_err(|_| RecipientError::Jwk)?)
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

    /// The key under which this deployment proves its own notes.
    pub fn state_key(&self) -> Result<StateKey, RecipientError> {
        let pkcs8 =
            self.key.private_key_to_pkcs8().map(Zeroizing::new).map_err(|_| RecipientError::Crypto)?;
        Ok(StateKey::from_secret(&pkcs8))
    }

    pub(crate) const fn key_management(&self) -> KeyManagement {
        self.management
    }

    /// How long an encrypted key to this recipient is: wrapped, or as long as the modulus.
    pub(crate) fn encrypted_key_bytes(&self) -> usize {
        match self.management {
            KeyManagement::EcdhEsA256Kw => 40,
            KeyManagement::RsaOaep256 => self.key.size(),
        }
    }

    pub(crate) fn decrypter(&self) -> &dyn JweDecrypter {
        &*self.decrypter
    }

    fn new(key_id: &str, key: PKey<Private>) -> Result<Self, RecipientError> {
        if !(1..=128).contains(&key_id.len()) {
            return Err(RecipientError::KeyId { bytes: key_id.len() });
        }
        let unsupported = |_: ErrorStack| RecipientError::Unsupported;
        let mut jwk = public_members(&key).map_err(unsupported)?.ok_or(RecipientError::Unsupported)?;
        let management = match key.id() {
            Id::RSA => KeyManagement::RsaOaep256,
            _ => KeyManagement::EcdhEsA256Kw,
        };
        jwk.insert("kid".to_owned(), json!(key_id));
        jwk.insert("alg".to_owned(), json!(management.name()));
        jwk.insert("use".to_owned(), json!("enc"));
        let public = RecipientPublic::try_from(jwk).map_err(|_| RecipientError::Unsupported)?;

        let pkcs8 = key.private_key_to_pkcs8().map(Zeroizing::new).map_err(unsupported)?;
        let decrypter = match management {
            KeyManagement::EcdhEsA256Kw => {
                ECDH_ES_A256KW.decrypter_from_der(&*pkcs8).map(|key| Box::new(key) as Box<dyn JweDecrypter>)
            }
            KeyManagement::RsaOaep256 => {
                RSA_OAEP_256.decrypter_from_der(&*pkcs8).map(|key| Box::new(key) as Box<dyn JweDecrypter>)
            }
        };
        Ok(Self { key, management, decrypter: decrypter.map_err(|_| RecipientError::Unsupported)?, public })
    }
}

impl RecipientPublic {
    /// The name of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) fn encrypter(&self) -> &dyn JweEncrypter {
        &*self.encrypter
    }
}

impl TryFrom<Map<String, Value>> for RecipientPublic {
    type Error = RecipientError;

    fn try_from(jwk: Map<String, Value>) -> Result<Self, RecipientError> {
        const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
            return Err(RecipientError::PrivateJwk);
        }
        let parsed = Jwk::from_map(jwk.clone()).map_err(|_| RecipientError::Jwk)?;
        let key_id = parsed.key_id().filter(|id| (1..=128).contains(&id.len())).ok_or(RecipientError::Jwk)?;
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let encrypter = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) | (Some("OKP"), Some("X25519")) => ECDH_ES_A256KW
                .encrypter_from_jwk(&parsed)
                .map(|encrypter| Box::new(encrypter) as Box<dyn JweEncrypter>),
            (Some("RSA"), None) => {
                let modulus = text("n").and_then(|n| Base64UrlUnpadded::decode_vec(n).ok());
                let modulus = modulus.and_then(|n| BigNum::from_slice(&n).ok()).ok_or(RecipientError::Jwk)?;
                key::check_modulus(&modulus).map_err(|_| RecipientError::Unsupported)?;
                RSA_OAEP_256
                    .encrypter_from_jwk(&parsed)
                    .map(|encrypter| Box::new(encrypter) as Box<dyn JweEncrypter>)
            }
            _ => return Err(RecipientError::Jwk),
        };
        let encrypter = encrypter.map_err(|_| RecipientError::Jwk)?;
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

/// A new key on P-256.
pub(crate) fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&curve)?)
}

/// The public key as a JWK writes it (RFC 7518, 6.2.1 and 6.3.1; RFC 8037, section 2), or `None` for a key that is not a
/// recipient's.
fn public_members(key: &PKey<Private>) -> Result<Option<Map<String, Value>>, ErrorStack> {
    let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let jwk = match key.id() {
        Id::EC => {
            let key = key.ec_key()?;
            if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
                return Ok(None);
            }
            let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
            key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
            let coordinate = |n: &BigNumRef| Ok::<_, ErrorStack>(text(&n.to_vec_padded(32)?));
            json!({ "kty": "EC", "crv": "P-256", "x": coordinate(&x)?, "y": coordinate(&y)? })
        }
        Id::X25519 => json!({ "kty": "OKP", "crv": "X25519", "x": text(&key.raw_public_key()?) }),
        Id::RSA => {
            let key = key.rsa()?;
            json!({ "kty": "RSA", "n": text(&key.n().to_vec()), "e": text(&key.e().to_vec()) })
        }
        _ => return Ok(None),
    };
    Ok(jwk.as_object().cloned())
}
