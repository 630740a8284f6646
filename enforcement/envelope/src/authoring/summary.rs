//! What certificates and lists show, for people and `--json`. It proves nothing: only paths do.

use der::{Decode as _, asn1::ObjectIdentifier};
use jiff::Timestamp;
use serde::Serialize;
use x509_cert::{
    crl::CertificateList,
    ext::pkix::{CrlNumber, CrlReason},
};

use super::{Reason, Serial};
use crate::{
    certificate::{Certificate, CertificateError, pem_documents, timestamp},
    mint::AuthoringError,
    oid,
};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A self-signed authority.
    Root,
    /// An authority beneath another.
    Intermediate,
    /// The same, marked as a partner's.
    Partner,
    /// It signs licenses.
    Signer,
    /// None of these.
    Other,
}

impl Role {
    /// As `--json` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Intermediate => "intermediate",
            Self::Partner => "partner",
            Self::Signer => "signer",
            Self::Other => "other",
        }
    }
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// What it is for.
    pub role: Role,
    /// Whose it is, as RFC 4514 writes names.
    pub subject: String,
    /// By whom.
    pub issuer: String,
    /// Its number.
    pub serial: Serial,
    /// SHA-256 of the DER, in lower-case hex.
    pub fingerprint: String,
    /// From when on.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Certificate policies, as dotted identifiers.
    pub policies: Vec<String>,
    /// Extended key usages, as dotted identifiers.
    pub purposes: Vec<String>,
}

/// A revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CrlSummary {
    /// By whom.
    pub issuer: String,
    /// cRLNumber in hex, without leading zeros (RFC 5280, 5.2.3).
    pub number: Option<String>,
    /// When it was made.
    pub this_update: Timestamp,
    /// When it is due to be replaced.
    pub next_update: Option<Timestamp>,
    /// What it names.
    pub revoked: Vec<RevokedSummary>,
}

/// An entry of a revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokedSummary {
    /// Which certificate.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why; absent where the list says nothing, or something that is not of here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Reads every certificate of a PEM text.
pub fn certificates(pem: &str) -> Result<Vec<CertificateSummary>, AuthoringError> {
    let read = Certificate::all_from_pem(pem).map_err(|_| CertificateError::Malformed)?;
    read.into_iter().map(|certificate| Ok(summary(&certificate?))).collect()
}

/// Reads every revocation list of a PEM text.
pub fn crls(pem: &str) -> Result<Vec<CrlSummary>, AuthoringError> {
    let documents = pem_documents(pem, "X509 CRL").map_err(|_| CertificateError::Malformed)?;
    let read = documents.iter().map(|der| list(der).map_err(CertificateError::from));
    Ok(read.collect::<Result<_, _>>()?)
}

fn summary(certificate: &Certificate) -> CertificateSummary {
    let fields = &certificate.parsed.tbs_certificate;
    let texts = |identifiers: &[ObjectIdentifier]| identifiers.iter().map(ToString::to_string).collect();
    CertificateSummary {
        role: role(certificate),
        subject: fields.subject.to_string(),
        issuer: fields.issuer.to_string(),
        serial: Serial::read(&fields.serial_number),
        fingerprint: certificate.fingerprint(),
        not_before: certificate.starts_at,
        not_after: certificate.expires_at,
        policies: texts(&certificate.policies),
        purposes: texts(certificate.purposes.as_deref().unwrap_or_default()),
    }
}

fn role(certificate: &Certificate) -> Role {
    let signs_licenses =
        certificate.purposes.as_deref().unwrap_or_default().contains(&oid::LICENSE_SIGNING_EKU);
    match (certificate.is_authority, certificate.is_self_signed()) {
        (true, true) => Role::Root,
        (true, false) if certificate.policies.contains(&oid::PARTNER_CA_POLICY) => Role::Partner,
        (true, false) => Role::Intermediate,
        (false, _) if signs_licenses => Role::Signer,
        (false, _) => Role::Other,
    }
}

fn list(der: &[u8]) -> der::Result<CrlSummary> {
    let list = CertificateList::from_der(der)?.tbs_cert_list;
    let extensions = list.crl_extensions.iter().flatten();
    let number = extensions
        .filter(|extension| extension.extn_id == <CrlNumber as der::oid::AssociatedOid>::OID)
        .map(|extension| CrlNumber::from_der(extension.extn_value.as_bytes()))
        .next()
        .transpose()?;
    let revoked = list.revoked_certificates.iter().flatten().map(|entry| {
        let extensions = entry.crl_entry_extensions.iter().flatten();
        let reason = extensions
            .filter(|extension| extension.extn_id == <CrlReason as der::oid::AssociatedOid>::OID)
            .map(|extension| CrlReason::from_der(extension.extn_value.as_bytes()))
            .next()
            .transpose()?;
        Ok(RevokedSummary {
            serial: Serial::read(&entry.serial_number),
            at: timestamp(entry.revocation_date)?,
            reason: reason.and_then(Reason::from_code),
        })
    });
    Ok(CrlSummary {
        issuer: list.issuer.to_string(),
        number: number.map(|number| hex::encode(number.0.as_bytes())),
        this_update: timestamp(list.this_update)?,
        next_update: list.next_update.map(timestamp).transpose()?,
        revoked: revoked.collect::<der::Result<_>>()?,
    })
}
