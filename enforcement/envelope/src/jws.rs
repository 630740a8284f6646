//! The inner layer: a compact JWS by the first certificate of its `x5c` (RFC 7515).

use base64ct::{Base64, Encoding as _};

use crate::{
    certificate::{Certificate, CertificateError},
    error::{EnvelopeError, Layer},
    header::{Header, decode},
    jwe::Decrypted,
    key::{PublicKey, SignatureAlgorithm},
};

/// The most certificates `x5c` may hold.
pub const MAX_CERTIFICATES: usize = 5;

/// A compact JWS whose signature has not been looked at.
pub(crate) struct Compact<'t> {
    pub(crate) header: Header,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Compact<'t> {
    pub(crate) fn parse(jws: &'t str, accepted: &[&str]) -> Result<Self, EnvelopeError> {
        crate::jwe::bounded(jws)?;
        let parts: Vec<&str> = jws.split('.').collect();
        let &[header, payload, signature] = parts.as_slice() else {
            return Err(EnvelopeError::Parts { layer: Layer::Jws, parts: parts.len(), expected: 3 });
        };
        Ok(Self {
            signed: &jws.as_bytes()[..header.len() + 1 + payload.len()],
            header: Header::parse(Layer::Jws, header, accepted)?,
            payload: decode(Layer::Jws, "payload", payload)?,
            signature: decode(Layer::Jws, "signature", signature)?,
        })
    }

    pub(crate) fn algorithm(&self) -> Result<SignatureAlgorithm, EnvelopeError> {
        self.header.signature_algorithm()
    }

    /// The payload, if this key signed it with this algorithm.
    pub(crate) fn verify(
        self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Vec<u8>, EnvelopeError> {
        if key.verifies(algorithm, self.signed, &self.signature) {
            Ok(self.payload)
        } else {
            Err(EnvelopeError::Signature)
        }
    }
}

/// A payload whose signature is that of the first certificate. The certificates are what the token says, not yet trusted.
pub(crate) struct Signed {
    pub(crate) payload: Vec<u8>,
    /// `x5c` in its order, the signer first. Never empty.
    pub(crate) chain: Vec<Certificate>,
}

impl Signed {
    pub(crate) fn verify(content: &Decrypted) -> Result<Self, EnvelopeError> {
        let jws = std::str::from_utf8(&content.0)
            .map_err(|_| EnvelopeError::Encoding { layer: Layer::Jws, part: "serialization" })?;
        let compact = Compact::parse(jws, &["alg", "x5c", "typ"])?;
        let algorithm = compact.algorithm()?;
        compact.header.text("typ")?;
        let chain = certificates(&compact.header)?;
        let payload = compact.verify(chain[0].key(), algorithm)?;
        Ok(Self { payload, chain })
    }
}

/// The certificates of `x5c`.
fn certificates(header: &Header) -> Result<Vec<Certificate>, EnvelopeError> {
    let encoded = header.texts("x5c")?;
    let certificates = encoded.len();
    if !(1..=MAX_CERTIFICATES).contains(&certificates) {
        return Err(EnvelopeError::ChainLength { certificates, limit: MAX_CERTIFICATES });
    }
    encoded.into_iter().enumerate().map(|(position, encoded)| certificate(position, encoded)).collect()
}

fn certificate(position: usize, encoded: &str) -> Result<Certificate, EnvelopeError> {
    Base64::decode_vec(encoded)
        .map_err(|_| CertificateError::Encoding)
        .and_then(|der| Certificate::from_der(&der))
        .map_err(|problem| EnvelopeError::Certificate { position, problem })
}
