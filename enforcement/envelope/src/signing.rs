//! Making the signatures that [`key`](crate::key) verifies. The algorithm follows from the key, so a caller cannot choose
//! another.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use openssl::{
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKeyRef, Private},
    rsa::Padding,
    sign::{RsaPssSaltlen, Signer},
};
use serde_json::Value;

use crate::key::{RSA_MODULUS_BITS, SignatureAlgorithm};

/// The one algorithm of this key, or `None` where it cannot sign or is of a kind that is not accepted.
pub(crate) fn algorithm_of(key: &PKeyRef<Private>) -> Option<SignatureAlgorithm> {
    match key.id() {
        Id::EC => match key.ec_key().ok()?.group().curve_name()? {
            Nid::X9_62_PRIME256V1 => Some(SignatureAlgorithm::Es256),
            Nid::SECP384R1 => Some(SignatureAlgorithm::Es384),
            _ => None,
        },
        Id::RSA if RSA_MODULUS_BITS.contains(&key.bits()) => Some(SignatureAlgorithm::Ps256),
        Id::ED25519 => Some(SignatureAlgorithm::EdDsa),
        _ => None,
    }
}

/// A compact JWS over this payload (RFC 7515, 7.1).
pub(crate) fn compact(
    header: &Value,
    payload: &[u8],
    algorithm: SignatureAlgorithm,
    key: &PKeyRef<Private>,
) -> Result<String, ErrorStack> {
    let part = Base64UrlUnpadded::encode_string;
    let signed = format!("{}.{}", part(header.to_string().as_bytes()), part(payload));
    let signature = sign(algorithm, key, signed.as_bytes())?;
    Ok(format!("{signed}.{}", part(&signature)))
}

/// The signature as a JWS carries it (RFC 7518, section 3; RFC 8037, 3.1).
fn sign(
    algorithm: SignatureAlgorithm,
    key: &PKeyRef<Private>,
    message: &[u8],
) -> Result<Vec<u8>, ErrorStack> {
    match algorithm {
        SignatureAlgorithm::Es256 => ecdsa(MessageDigest::sha256(), 32, key, message),
        SignatureAlgorithm::Es384 => ecdsa(MessageDigest::sha384(), 48, key, message),
        SignatureAlgorithm::Ps256 => {
            let mut signer = Signer::new(MessageDigest::sha256(), key)?;
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_mgf1_md(MessageDigest::sha256())?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            signer.sign_oneshot_to_vec(message)
        }
        SignatureAlgorithm::EdDsa => Signer::new_without_digest(key)?.sign_oneshot_to_vec(message),
    }
}

/// The two numbers of the signature, as long as the curve's order each.
fn ecdsa(
    digest: MessageDigest,
    width: i32,
    key: &PKeyRef<Private>,
    message: &[u8],
) -> Result<Vec<u8>, ErrorStack> {
    let pair = EcdsaSig::from_der(&Signer::new(digest, key)?.sign_oneshot_to_vec(message)?)?;
    let mut signature = pair.r().to_vec_padded(width)?;
    signature.extend(pair.s().to_vec_padded(width)?);
    Ok(signature)
}
