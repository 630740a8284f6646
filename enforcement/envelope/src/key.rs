//! Public keys that signatures are verified with, and the algorithms they may be used under. The primitives are OpenSSL's.

use std::sync::LazyLock;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use const_oid::ObjectIdentifier;
use der::Decode as _;
use openssl::{
    bn::{BigNum, BigNumContext, BigNumRef},
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Verifier},
};
use serde_json::{Map, Value};
use spki::SubjectPublicKeyInfoRef;

/// The bounds of an RSA modulus, in bits: no weaker, and no more work than that.
pub const RSA_MODULUS_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");

static P256: LazyLock<EcGroup> = LazyLock::new(|| curve(Nid::X9_62_PRIME256V1));
static P384: LazyLock<EcGroup> = LazyLock::new(|| curve(Nid::SECP384R1));

fn curve(name: Nid) -> EcGroup {
    EcGroup::from_curve_name(name).expect("OpenSSL knows the curves of NIST")
}

/// How a JWS is signed (semantics 3.2). Nothing else is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518, 3.4).
    Es384,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes (RFC 7518, 3.5).
    Ps256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Es256, Self::Es384, Self::Ps256, Self::EdDsa];

    /// As `alg` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// The kinds of key that sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Rsa,
    Ed25519,
}

/// A key that signatures are verified with: EC on P-256 or P-384, RSA of [`RSA_MODULUS_BITS`], Ed25519.
#[derive(Clone)]
pub struct PublicKey {
    key: PKey<Public>,
    kind: Kind,
}

/// Why a key is not one to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a public key: wrong encoding, a member absent, or a point that is not on its curve.
    #[error("not a well-formed public key")]
    Malformed,
    /// Another type of key, or another curve.
    #[error("not an EC key on P-256 or P-384, an RSA key or an Ed25519 key")]
    Unsupported,
    /// The modulus is outside [`RSA_MODULUS_BITS`].
    #[error(
        "an RSA modulus of {bits} bits; {} to {} are accepted",
        RSA_MODULUS_BITS.start(),
        RSA_MODULUS_BITS.end()
    )]
    Modulus {
        /// Its length.
        bits: u32,
    },
}

impl From<ErrorStack> for KeyError {
    fn from(_: ErrorStack) -> Self {
        Self::Malformed
    }
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        Self::from_spki(&info)
    }

    /// The same of one that was parsed. OpenSSL's own decoder takes longer than a signature check; what it would find out
    /// is in the algorithm already (RFC 5480, RFC 8017, RFC 8410).
    pub(crate) fn from_spki(info: &SubjectPublicKeyInfoRef<'_>) -> Result<Self, KeyError> {
        let bytes = info.subject_public_key.as_bytes().ok_or(KeyError::Malformed)?;
        let parameters = info.algorithm.parameters.as_ref();
        match info.algorithm.oid {
            EC => {
                let curve = parameters.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
                let curve: &EcGroup = match curve {
                    Some(PRIME256V1) => &P256,
                    Some(SECP384R1) => &P384,
                    _ => return Err(KeyError::Unsupported),
                };
                let point = EcPoint::from_bytes(curve, bytes, &mut *BigNumContext::new()?)?;
                Self::new(PKey::from_ec_key(EcKey::from_public_key(curve, &point)?)?)
            }
            RSA if parameters.is_none_or(|value| value.is_null()) => {
                Self::new(PKey::from_rsa(Rsa::public_key_from_der_pkcs1(bytes)?)?)
            }
            ED25519 if parameters.is_none() => {
                Self::new(PKey::public_key_from_raw_bytes(bytes, Id::ED25519)?)
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Reads a JWK (RFC 7517): `EC` on P-256 or P-384, `RSA`, `OKP` on Ed25519. One that says it is for
    /// something else than verifying is refused.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Malformed);
        let bytes = |name: &str| Base64UrlUnpadded::decode_vec(text(name)?).map_err(|_| KeyError::Malformed);
        let number = |name: &str| Ok::<_, KeyError>(BigNum::from_slice(&bytes(name)?)?);
        let key = match (text("kty")?, jwk.get("crv").and_then(Value::as_str)) {
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let curve: &EcGroup = if curve == "P-256" { &P256 } else { &P384 };
                let key = EcKey::from_public_key_affine_coordinates(curve, &*number("x")?, &*number("y")?)?;
                Self::new(PKey::from_ec_key(key)?)
            }
            ("OKP", Some("Ed25519")) => {
                Self::new(PKey::public_key_from_raw_bytes(&bytes("x")?, Id::ED25519)?)
            }
            ("RSA", None) => {
                Self::new(PKey::from_rsa(Rsa::from_public_components(number("n")?, number("e")?)?)?)
            }
            _ => Err(KeyError::Unsupported),
        }?;
        if is_meant_for(jwk, key.kind) { Ok(key) } else { Err(KeyError::Unsupported) }
    }

    fn new(key: PKey<Public>) -> Result<Self, KeyError> {
        let kind = match key.id() {
            Id::EC => match key.ec_key()?.group().curve_name() {
                Some(Nid::X9_62_PRIME256V1) => Kind::P256,
                Some(Nid::SECP384R1) => Kind::P384,
                _ => return Err(KeyError::Unsupported),
            },
            Id::RSA => {
                check_modulus(key.rsa()?.n())?;
                Kind::Rsa
            }
            Id::ED25519 => Kind::Ed25519,
            _ => return Err(KeyError::Unsupported),
        };
        Ok(Self { key, kind })
    }

    /// SHA-256 of the `SubjectPublicKeyInfo` (DER), in lower-case hex.
    pub(crate) fn fingerprint(&self) -> String {
        let der = self.key.public_key_to_der().unwrap_or_default();
        hex::encode(openssl::sha::sha256(&der))
    }

    /// Whether `signature`, in the form a JWS carries, is this key's over `message`.
    pub fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match (algorithm, self.kind) {
            (SignatureAlgorithm::Es256, Kind::P256) => {
                der_of(signature, 32).is_ok_and(|der| self.ecdsa(MessageDigest::sha256(), message, &der))
            }
            (SignatureAlgorithm::Es384, Kind::P384) => {
                der_of(signature, 48).is_ok_and(|der| self.ecdsa(MessageDigest::sha384(), message, &der))
            }
            (SignatureAlgorithm::Ps256, Kind::Rsa) => self.pss(MessageDigest::sha256(), message, signature),
            (SignatureAlgorithm::EdDsa, Kind::Ed25519) => self.ed25519(message, signature),
            _ => false,
        }
    }

    /// The same of an X.509 signature, whose algorithm an object identifier and its parameters tell (RFC 5758, RFC 4055,
    /// RFC 8410). SHA-1 and MD5 are not among them.
    pub(crate) fn verifies_x509(
        &self,
        algorithm: &spki::AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let parameters = algorithm.parameters.as_ref();
        let none_or_null = parameters.is_none_or(|value| value.is_null());
        match (algorithm.oid, self.kind) {
            (ECDSA_WITH_SHA256, Kind::P256 | Kind::P384) if parameters.is_none() => {
                self.ecdsa(MessageDigest::sha256(), message, signature)
            }
            (ECDSA_WITH_SHA384, Kind::P256 | Kind::P384) if parameters.is_none() => {
                self.ecdsa(MessageDigest::sha384(), message, signature)
            }
            (ECDSA_WITH_SHA512, Kind::P256 | Kind::P384) if parameters.is_none() => {
                self.ecdsa(MessageDigest::sha512(), message, signature)
            }
            (RSA_WITH_SHA256, Kind::Rsa) if none_or_null => {
                self.pkcs1(MessageDigest::sha256(), message, signature)
            }
            (RSA_WITH_SHA384, Kind::Rsa) if none_or_null => {
                self.pkcs1(MessageDigest::sha384(), message, signature)
            }
            (RSA_WITH_SHA512, Kind::Rsa) if none_or_null => {
                self.pkcs1(MessageDigest::sha512(), message, signature)
            }
            (RSA_PSS, Kind::Rsa) if parameters.is_some_and(|value| value.value() == PSS_WITH_SHA256) => {
                self.pss(MessageDigest::sha256(), message, signature)
            }
            (ED25519, Kind::Ed25519) if parameters.is_none() => self.ed25519(message, signature),
            _ => false,
        }
    }

    fn ecdsa(&self, digest: MessageDigest, message: &[u8], der: &[u8]) -> bool {
        let verified =
            Verifier::new(digest, &self.key).and_then(|mut verifier| verifier.verify_oneshot(der, message));
        verified.unwrap_or(false)
    }

    fn pkcs1(&self, digest: MessageDigest, message: &[u8], signature: &[u8]) -> bool {
        let verified = Verifier::new(digest, &self.key).and_then(|mut verifier| {
            verifier.set_rsa_padding(Padding::PKCS1)?;
            verifier.verify_oneshot(signature, message)
        });
        verified.unwrap_or(false)
    }

    fn pss(&self, digest: MessageDigest, message: &[u8], signature: &[u8]) -> bool {
        let verified = Verifier::new(digest, &self.key).and_then(|mut verifier| {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_mgf1_md(digest)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.verify_oneshot(signature, message)
        });
        verified.unwrap_or(false)
    }

    fn ed25519(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = Verifier::new_without_digest(&self.key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message));
        verified.unwrap_or(false)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key.public_eq(&other.key)
    }
}

/// Parameters of RSASSA-PSS: SHA-256, MGF1 with SHA-256, a salt of 32 bytes (RFC 4055, 3.1), without tag and length.
const PSS_WITH_SHA256: &[u8] = &[
    0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d,
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01,
    0x20,
];

/// Whether a JWK that says what it is for says that it verifies, and with the one algorithm of its kind (RFC 7517, 4.2 to
/// 4.4).
fn is_meant_for(jwk: &Map<String, Value>, kind: Kind) -> bool {
    let algorithm = match kind {
        Kind::P256 => SignatureAlgorithm::Es256,
        Kind::P384 => SignatureAlgorithm::Es384,
        Kind::Rsa => SignatureAlgorithm::Ps256,
        Kind::Ed25519 => SignatureAlgorithm::EdDsa,
    };
    let verifies = |operations: &Value| {
        operations
            .as_array()
            .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    };
    jwk.get("use").is_none_or(|purpose| purpose == "sig")
        && jwk.get("key_ops").is_none_or(verifies)
        && jwk.get("alg").is_none_or(|name| name == algorithm.name())
}

pub(crate) fn check_modulus(modulus: &BigNumRef) -> Result<(), KeyError> {
    let bits = u32::try_from(modulus.num_bits()).unwrap_or(u32::MAX);
    if RSA_MODULUS_BITS.contains(&bits) { Ok(()) } else { Err(KeyError::Modulus { bits }) }
}

/// The two numbers of an ECDSA signature, as long as the curve's order each, as OpenSSL reads them.
fn der_of(signature: &[u8], width: usize) -> Result<Vec<u8>, KeyError> {
    if signature.len() != 2 * width {
        return Err(KeyError::Malformed);
    }
    let (r, s) = signature.split_at(width);
    let signature = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
    Ok(signature.to_der()?)
}
