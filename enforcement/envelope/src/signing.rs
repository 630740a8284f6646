//! The signature algorithms of both layers' signers, by the kind of their key (RFC 7518, section 3; RFC 8037).

use openssl::{
    bn::BigNum,
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{HasPrivate, HasPublic, Id, PKeyRef},
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer, Verifier},
};
use serde::{Deserialize, Serialize};

/// A JWS algorithm. Which one a key signs with follows from the key, so a header cannot choose another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// RSASSA-PSS with SHA-256, of keys of 2048 to 4096 bits.
    #[serde(rename = "PS256")]
    Ps256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SignatureAlgorithm {
    /// The one algorithm of this key, or `None` where it cannot sign or is of a kind that is not accepted.
    pub(crate) fn of<T: HasPublic>(key: &PKeyRef<T>) -> Option<Self> {
        match key.id() {
            Id::EC => match key.ec_key().ok()?.group().curve_name()? {
                Nid::X9_62_PRIME256V1 => Some(Self::Es256),
                Nid::SECP384R1 => Some(Self::Es384),
                _ => None,
            },
            Id::RSA if (2048..=4096).contains(&key.bits()) => Some(Self::Ps256),
            Id::ED25519 => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// As JWS headers spell it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The signature as JWS carries it.
    pub(crate) fn sign<T: HasPrivate>(self, key: &PKeyRef<T>, bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        match self {
            Self::Es256 | Self::Es384 => {
                let der = Signer::new(self.digest(), key)?.sign_oneshot_to_vec(bytes)?;
                let pair = EcdsaSig::from_der(&der)?;
                let width = self.coordinate_bytes();
                let mut signature = pair.r().to_vec_padded(width)?;
                signature.extend(pair.s().to_vec_padded(width)?);
                Ok(signature)
            }
            Self::Ps256 => {
                let mut signer = Signer::new(self.digest(), key)?;
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_mgf1_md(self.digest())?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                signer.sign_oneshot_to_vec(bytes)
            }
            Self::EdDsa => Signer::new_without_digest(key)?.sign_oneshot_to_vec(bytes),
        }
    }

    /// Whether the signature, as JWS carries it, is this key's over these bytes.
    pub(crate) fn verify<T: HasPublic>(self, key: &PKeyRef<T>, bytes: &[u8], signature: &[u8]) -> bool {
        self.try_verify(key, bytes, signature).unwrap_or(false)
    }

    fn try_verify<T: HasPublic>(
        self,
        key: &PKeyRef<T>,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<bool, ErrorStack> {
        match self {
            Self::Es256 | Self::Es384 => {
                let width = usize::try_from(self.coordinate_bytes()).unwrap_or_default();
                if signature.len() != 2 * width {
                    return Ok(false);
                }
                let (r, s) = signature.split_at(width);
                let pair =
                    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
                Verifier::new(self.digest(), key)?.verify_oneshot(&pair.to_der()?, bytes)
            }
            Self::Ps256 => {
                let mut verifier = Verifier::new(self.digest(), key)?;
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_mgf1_md(self.digest())?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.verify_oneshot(signature, bytes)
            }
            Self::EdDsa => Verifier::new_without_digest(key)?.verify_oneshot(signature, bytes),
        }
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::Es384 => MessageDigest::sha384(),
            Self::Es256 | Self::Ps256 | Self::EdDsa => MessageDigest::sha256(),
        }
    }

    const fn coordinate_bytes(self) -> i32 {
        match self {
            Self::Es384 => 48,
            Self::Es256 | Self::Ps256 | Self::EdDsa => 32,
        }
    }
}
