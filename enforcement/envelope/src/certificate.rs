//! One X.509 certificate, read by two parsers that must both accept it: OpenSSL validates the path, `x509-cert` (strict
//! DER) shows the extensions OpenSSL's binding does not.

use const_oid::ObjectIdentifier;
use der::Decode as _;
use jiff::Timestamp;
use openssl::{
    hash::MessageDigest,
    x509::{X509, X509Ref},
};
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, PolicyMappings,
};

/// The longest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Why a certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not padded base64 (RFC 7515, 4.1.6).
    #[error("not base64")]
    Encoding,
    /// Longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("longer than {MAX_CERTIFICATE_BYTES} bytes")]
    TooLarge,
    /// Not a DER certificate with proper extensions, none of them twice (RFC 5280, 4.2).
    #[error("not a well-formed X.509 certificate")]
    Malformed,
}

impl From<der::Error> for CertificateError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

impl From<openssl::error::ErrorStack> for CertificateError {
    fn from(_: openssl::error::ErrorStack) -> Self {
        Self::Malformed
    }
}

pub(crate) struct Certificate {
    pub(crate) native: X509,
    /// DER of the `SubjectPublicKeyInfo`.
    pub(crate) public_key: Vec<u8>,
    /// SHA-256 of the DER, in hex.
    pub(crate) fingerprint: String,
    pub(crate) expires_at: Timestamp,
    /// basicConstraints say CA.
    pub(crate) is_authority: bool,
    /// keyUsage says digitalSignature.
    pub(crate) signs_documents: bool,
    /// Extended key usages; absent means unlimited.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    pub(crate) policies: Vec<ObjectIdentifier>,
    pub(crate) maps_policies: bool,
}

impl Certificate {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let native = X509::from_der(der)?;
        let parsed = x509_cert::Certificate::from_der(der)?;
        let fields = parsed.tbs_certificate;

        let not_after = fields.validity.not_after.to_unix_duration();
        let constraints = fields.get::<BasicConstraints>()?;
        let usage = fields.get::<KeyUsage>()?;
        let purposes = fields.get::<ExtendedKeyUsage>()?;
        let policies = fields.get::<CertificatePolicies>()?;
        let mappings = fields.get::<PolicyMappings>()?;

        Ok(Self {
            public_key: native.public_key()?.public_key_to_der()?,
            fingerprint: hex::encode(native.digest(MessageDigest::sha256())?),
            expires_at: Timestamp::UNIX_EPOCH
                .checked_add(not_after)
                .map_err(|_| CertificateError::Malformed)?,
            is_authority: constraints.is_some_and(|(_, constraints)| constraints.ca),
            signs_documents: usage.is_some_and(|(_, usage)| usage.digital_signature()),
            purposes: purposes.map(|(_, purposes)| purposes.0),
            policies: policies.map_or(Vec::new(), |(_, policies)| {
                policies.0.into_iter().map(|policy| policy.policy_identifier).collect()
            }),
            maps_policies: mappings.is_some(),
            native,
        })
    }

    pub(crate) fn from_native(native: &X509Ref) -> Result<Self, CertificateError> {
        Self::from_der(&native.to_der()?)
    }
}
