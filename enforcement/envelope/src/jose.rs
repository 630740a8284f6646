//! The two JOSE layers by themselves, so that vectors and foreign programs can judge them. What they yield proves nothing
//! about a license: only [`open`](crate::open) and [`open_key`](crate::open_key) do.

use crate::{error::EnvelopeError, jwe::Sealed, jws::Compact, recipient::Recipient};

pub use crate::key::{KeyError, PublicKey, RSA_MODULUS_BITS, SignatureAlgorithm};

/// The payload of a compact JWS (RFC 7515) that this key signed. Its header may hold `alg`, `kid` and `typ`.
pub fn verify(compact: &str, key: &PublicKey) -> Result<Vec<u8>, EnvelopeError> {
    let compact = Compact::parse(compact, &["alg", "kid", "typ"])?;
    let algorithm = compact.algorithm()?;
    compact.verify(key, algorithm)
}

/// The content of a compact JWE (RFC 7516) to this recipient. Its header may hold `alg`, `enc`, `kid`, `epk`, `typ` and
/// `cty`.
pub fn decrypt(compact: &str, recipient: &Recipient) -> Result<Vec<u8>, EnvelopeError> {
    Ok(Sealed::parse(compact)?.decrypt(recipient)?.0)
}
