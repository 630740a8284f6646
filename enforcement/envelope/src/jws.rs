//! The inner layer: a compact JWS by the first certificate of its `x5c` (RFC 7515).

use base64ct::{Base64, Encoding as _};
use josekit::jws::{ES256, JwsVerifier as _};

use crate::{
    certificate::{Certificate, CertificateError},
    error::{EnvelopeError, Layer},
    header::{Header, decode},
    jwe::Decrypted,
};

/// The most certificates `x5c` may hold.
pub const MAX_CERTIFICATES: usize = 5;

pub(crate) const SIGNATURE: &str = "ES256";

/// A payload whose signature is that of the first certificate. The certificates are what the token says, not yet trusted.
pub(crate) struct Signed {
    pub(crate) payload: Vec<u8>,
    pub(crate) signer: Certificate,
    /// The rest of `x5c`, in its order.
    pub(crate) issuers: Vec<Certificate>,
}

impl Signed {
    pub(crate) fn verify(content: &Decrypted) -> Result<Self, EnvelopeError> {
        let jws = std::str::from_utf8(&content.0)
            .map_err(|_| EnvelopeError::Encoding { layer: Layer::Jws, part: "serialization" })?;
        let parts: Vec<&str> = jws.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(EnvelopeError::Parts { layer: Layer::Jws, parts: parts.len(), expected: 3 });
        };
        let signed_bytes = &jws.as_bytes()[..header.len() + 1 + payload.len()];

        let header = Header::parse(Layer::Jws, header, &["alg", "x5c"])?;
        header.algorithm("alg", SIGNATURE)?;
        let (signer, issuers) = certificates(&header)?;
        let payload = decode(Layer::Jws, "payload", payload)?;
        let signature = decode(Layer::Jws, "signature", signature)?;

        ES256
            .verifier_from_der(&signer.public_key)
            .and_then(|key| key.verify(signed_bytes, &signature))
            .map_err(|_| EnvelopeError::Signature)?;
        Ok(Self { payload, signer, issuers })
    }
}

/// The signer's certificate, and those above it.
fn certificates(header: &Header) -> Result<(Certificate, Vec<Certificate>), EnvelopeError> {
    let encoded = header.texts("x5c")?;
    let certificates = encoded.len();
    let [signer, issuers @ ..] = encoded.as_slice() else {
        return Err(EnvelopeError::ChainLength { certificates, limit: MAX_CERTIFICATES });
    };
    if certificates > MAX_CERTIFICATES {
        return Err(EnvelopeError::ChainLength { certificates, limit: MAX_CERTIFICATES });
    }
    let issuers = (1..).zip(issuers).map(|(position, encoded)| certificate(position, encoded));
    Ok((certificate(0, signer)?, issuers.collect::<Result<_, _>>()?))
}

fn certificate(position: usize, encoded: &str) -> Result<Certificate, EnvelopeError> {
    Base64::decode_vec(encoded)
        .map_err(|_| CertificateError::Encoding)
        .and_then(|der| Certificate::from_der(&der))
        .map_err(|problem| EnvelopeError::Certificate { position, problem })
}
