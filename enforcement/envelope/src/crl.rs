//! Certificate revocation lists (RFC 5280, section 5): complete ones, by the issuer of what they list. Indirect, partial
//! and delta lists are refused by name.

use der::{Decode as _, Encode as _, referenced::OwnedToRef as _};
use jiff::Timestamp;
use x509_cert::{crl::CertificateList, name::Name, serial_number::SerialNumber};

use crate::{
    certificate::{PemError, pem_documents, timestamp},
    key::PublicKey,
};

/// The longest list that is read, in bytes of DER.
pub const MAX_CRL_BYTES: usize = 1024 * 1024;

/// The most lists of a bundle.
pub const MAX_CRLS: usize = 16;

/// Why a list cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Longer than [`MAX_CRL_BYTES`].
    #[error("longer than {MAX_CRL_BYTES} bytes")]
    TooLarge,
    /// Not a DER certificate list, or one without `nextUpdate` (RFC 5280, 5.1.2.5).
    #[error("not a well-formed certificate revocation list")]
    Malformed,
    /// A list of changes to another list (RFC 5280, 5.2.4).
    #[error("a delta list; only complete ones are accepted")]
    Delta,
    /// A list by someone else than the issuer of the certificates it names (RFC 5280, 5.2.5 and 5.3.3).
    #[error("an indirect list; only lists by the issuer itself are accepted")]
    Indirect,
    /// A list of some certificates or some reasons only (RFC 5280, 5.2.5).
    #[error("a partial list; only complete ones are accepted")]
    Partial,
    /// An extension that must be understood, and is not.
    #[error("a list with the critical extension `{id}`")]
    CriticalExtension {
        /// Which.
        id: const_oid::ObjectIdentifier,
    },
}

impl From<der::Error> for CrlError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

/// A list that was read. Whether its issuer signed it shows when it is used.
#[derive(Clone)]
pub struct Crl {
    parsed: CertificateList,
    /// What is signed.
    signed: Vec<u8>,
    this_update: Timestamp,
    next_update: Timestamp,
}

impl Crl {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        const DELTA: &str = "2.5.29.27";
        const DISTRIBUTION_POINT: &str = "2.5.29.28";
        const CERTIFICATE_ISSUER: &str = "2.5.29.29";

        if der.len() > MAX_CRL_BYTES {
            return Err(CrlError::TooLarge);
        }
        let parsed = CertificateList::from_der(der)?;
        let list = &parsed.tbs_cert_list;
        for extension in list.crl_extensions.iter().flatten() {
            match extension.extn_id.to_string().as_str() {
                DELTA => return Err(CrlError::Delta),
                DISTRIBUTION_POINT => return Err(scope(extension.extn_value.as_bytes())?),
                _ if extension.critical => {
                    return Err(CrlError::CriticalExtension { id: extension.extn_id });
                }
                _ => {}
            }
        }
        let entries = list.revoked_certificates.iter().flatten();
        for extension in entries.flat_map(|entry| entry.crl_entry_extensions.iter().flatten()) {
            match extension.extn_id.to_string().as_str() {
                CERTIFICATE_ISSUER => return Err(CrlError::Indirect),
                _ if extension.critical => {
                    return Err(CrlError::CriticalExtension { id: extension.extn_id });
                }
                _ => {}
            }
        }
        if parsed.signature_algorithm != list.signature {
            return Err(CrlError::Malformed);
        }
        Ok(Self {
            signed: list.to_der()?,
            this_update: timestamp(list.this_update)?,
            next_update: timestamp(list.next_update.ok_or(CrlError::Malformed)?)?,
            parsed,
        })
    }

    pub(crate) const fn issuer(&self) -> &Name {
        &self.parsed.tbs_cert_list.issuer
    }

    pub(crate) const fn next_update(&self) -> Timestamp {
        self.next_update
    }

    pub(crate) fn is_current(&self, at: Timestamp) -> bool {
        self.this_update <= at && at < self.next_update
    }

    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let Some(signature) = self.parsed.signature.as_bytes() else { return false };
        key.verifies_x509(&self.parsed.signature_algorithm.owned_to_ref(), &self.signed, signature)
    }

    pub(crate) fn names(&self, serial: &SerialNumber) -> bool {
        let mut entries = self.parsed.tbs_cert_list.revoked_certificates.iter().flatten();
        entries.any(|entry| entry.serial_number == *serial)
    }
}

/// Which restriction an issuing distribution point makes: any makes the list less than complete.
fn scope(der: &[u8]) -> Result<CrlError, der::Error> {
    let point = x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint::from_der(der)?;
    Ok(if point.indirect_crl { CrlError::Indirect } else { CrlError::Partial })
}

/// A bundle of lists: `license.trust.crl-bundle-path`.
#[derive(Clone)]
pub struct Crls(Vec<Crl>);

/// Why a bundle of lists cannot be used. Lists count from zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlBundleError {
    /// Not PEM.
    #[error("the CRL bundle is not a list of PEM certificate revocation lists")]
    Pem,
    /// None, or more than [`MAX_CRLS`].
    #[error("the CRL bundle holds {lists} lists, 1 to {MAX_CRLS} are accepted")]
    Count {
        /// Lists found.
        lists: usize,
    },
    /// A list cannot be used.
    #[error("list {position} of the CRL bundle: {problem}")]
    List {
        /// Position in the bundle.
        position: usize,
        /// What is wrong with it.
        problem: CrlError,
    },
}

impl Crls {
    /// Reads a bundle (PEM).
    pub fn from_pem(bundle: &str) -> Result<Self, CrlBundleError> {
        let documents = pem_documents(bundle, "X509 CRL").map_err(|PemError| CrlBundleError::Pem)?;
        if !(1..=MAX_CRLS).contains(&documents.len()) {
            return Err(CrlBundleError::Count { lists: documents.len() });
        }
        let lists = documents.iter().enumerate().map(|(position, der)| {
            Crl::from_der(der).map_err(|problem| CrlBundleError::List { position, problem })
        });
        lists.collect::<Result<_, _>>().map(Self)
    }

    /// When the first of them is due to be replaced.
    pub fn due(&self) -> Option<Timestamp> {
        self.0.iter().map(Crl::next_update).min()
    }

    pub(crate) fn lists(&self) -> &[Crl] {
        &self.0
    }
}
