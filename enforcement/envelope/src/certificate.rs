//! One X.509 certificate as data (RFC 5280, section 4). Reading it proves nothing about it.

use const_oid::ObjectIdentifier;
use der::{Decode as _, Encode as _, referenced::OwnedToRef as _};
use jiff::Timestamp;
use pkix_path::TrustAnchor;
use x509_cert::{
    ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, PolicyMappings},
    name::Name,
    time::Time,
};

use crate::key::{KeyError, PublicKey};

/// The longest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// The most extensions, policies or policy mappings of a certificate.
const MAX_ENTRIES: usize = 64;

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
    /// Not a DER certificate with proper extensions, none of them twice (RFC 5280, 4.2), and no policy twice.
    #[error("not a well-formed X.509 certificate")]
    Malformed,
    /// Its key is none that signatures are verified with here.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl From<der::Error> for CertificateError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

/// A certificate that was read.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    pub(crate) parsed: x509_cert::Certificate,
    key: PublicKey,
    pub(crate) starts_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// basicConstraints say CA.
    pub(crate) is_authority: bool,
    /// How many authorities may stand below it on a path.
    pub(crate) path_length: Option<u8>,
    /// keyUsage says digitalSignature.
    pub(crate) signs_documents: bool,
    /// keyUsage says cRLSign, or there is none.
    pub(crate) signs_crls: bool,
    /// Extended key usages; absent means unlimited.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    pub(crate) policies: Vec<ObjectIdentifier>,
}

impl Certificate {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let parsed = x509_cert::Certificate::from_der(der)?;
        let fields = &parsed.tbs_certificate;
        let extensions = fields.extensions.iter().flatten().map(|extension| extension.extn_id);
        if !are_few_and_unique(extensions) {
            return Err(CertificateError::Malformed);
        }

        let constraints = fields.get::<BasicConstraints>()?.map(|(_, constraints)| constraints);
        let usage = fields.get::<KeyUsage>()?.map(|(_, usage)| usage);
        let purposes = fields.get::<ExtendedKeyUsage>()?;
        let policies = fields.get::<CertificatePolicies>()?.map_or(Vec::new(), |(_, policies)| policies.0);
        let policies: Vec<_> = policies.into_iter().map(|policy| policy.policy_identifier).collect();
        let mappings = fields.get::<PolicyMappings>()?.map_or(Vec::new(), |(_, mappings)| mappings.0);
        // RFC 5280, 4.2.1.4: no policy twice. The tree of policies would grow with the power of the path's length.
        if !are_few_and_unique(policies.iter().copied()) || mappings.len() > MAX_ENTRIES {
            return Err(CertificateError::Malformed);
        }
        Ok(Self {
            key: PublicKey::from_spki(&fields.subject_public_key_info.owned_to_ref())?,
            starts_at: timestamp(fields.validity.not_before)?,
            expires_at: timestamp(fields.validity.not_after)?,
            is_authority: constraints.as_ref().is_some_and(|constraints| constraints.ca),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            signs_documents: usage.is_some_and(|usage| usage.digital_signature()),
            signs_crls: usage.is_none_or(|usage| usage.crl_sign()),
            purposes: purposes.map(|(_, purposes)| purposes.0),
            policies,
            der: der.to_vec(),
            parsed,
        })
    }

    pub(crate) fn from_native(native: &openssl::x509::X509Ref) -> Result<Self, CertificateError> {
        Self::from_der(&native.to_der().map_err(|_| CertificateError::Malformed)?)
    }

    /// Reads every certificate of a PEM text.
    pub(crate) fn all_from_pem(text: &str) -> Result<Vec<Result<Self, CertificateError>>, PemError> {
        Ok(pem_documents(text, "CERTIFICATE")?.iter().map(|der| Self::from_der(der)).collect())
    }

    /// SHA-256 of the DER, in lower-case hex.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(openssl::sha::sha256(&self.der))
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) const fn issuer(&self) -> &Name {
        &self.parsed.tbs_certificate.issuer
    }

    /// The start of a path. Name constraints that cannot be read refuse it.
    pub(crate) fn anchor(&self) -> Result<TrustAnchor, CertificateError> {
        TrustAnchor::try_from(self.parsed.clone()).map_err(|_| CertificateError::Malformed)
    }

    /// Whether its own key signed it.
    pub(crate) fn is_self_signed(&self) -> bool {
        let fields = &self.parsed.tbs_certificate;
        pkix_path::names_match(&fields.subject, &fields.issuer) && self.is_signed_by(&self.key)
    }

    fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signature = self.parsed.signature.as_bytes();
        let signed = self.parsed.tbs_certificate.to_der();
        match (signature, signed) {
            (Some(signature), Ok(signed)) => {
                key.verifies_x509(&self.parsed.signature_algorithm.owned_to_ref(), &signed, signature)
            }
            _ => false,
        }
    }
}

fn are_few_and_unique(ids: impl Iterator<Item = ObjectIdentifier>) -> bool {
    let mut ids: Vec<_> = ids.collect();
    let found = ids.len();
    ids.sort_unstable();
    ids.dedup();
    ids.len() == found && found <= MAX_ENTRIES
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

/// The text is not PEM (RFC 7468), or holds something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PemError;

/// The documents of a PEM text in their order. Text between them is passed over, as it is by every reader of bundles.
pub(crate) fn pem_documents(text: &str, label: &str) -> Result<Vec<Vec<u8>>, PemError> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut documents = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let body = &rest[start..];
        let end = body.find(END).ok_or(PemError)?;
        let after = body[end + END.len()..].find("-----").ok_or(PemError)?;
        let document = &body[..end + END.len() + after + 5];
        let (found, der) = der::pem::decode_vec(document.as_bytes()).map_err(|_| PemError)?;
        if found != label {
            return Err(PemError);
        }
        documents.push(der);
        rest = &body[document.len()..];
    }
    Ok(documents)
}

pub(crate) fn timestamp(time: Time) -> Result<Timestamp, der::Error> {
    let since_epoch = time.to_unix_duration();
    Timestamp::UNIX_EPOCH.checked_add(since_epoch).map_err(|_| der::ErrorKind::DateTime.into())
}
