use std::{fmt, ops::Range, str::FromStr, time::Duration};

use der::{
    Encode as _,
    asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString, Uint, UtcTime},
    oid::AssociatedOid,
    pem::{self, LineEnding},
};
use jiff::Timestamp;
use openssl::{sign::Signer, x509::X509Ref};
use serde::{Deserialize, Serialize};
use spki::AlgorithmIdentifierOwned;
use x509_cert::{
    Version,
    crl::{CertificateList, RevokedCert, TbsCertList},
    ext::{
        Extension,
        pkix::{AuthorityKeyIdentifier, CrlNumber, CrlReason, SubjectKeyIdentifier},
    },
    serial_number::SerialNumber,
    time::Time,
};

use crate::{
    certificate::{Certificate, CertificateError},
    key::SignatureAlgorithm,
    mint::{AuthoringError, Holder, digest},
    signing,
};

/// The serial number of a certificate (RFC 5280, 4.1.2.2): up to 20 bytes, written in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(String);

/// A certificate that does not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which.
    pub serial: Serial,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate does not count any more (RFC 5280, 5.3.1). A revocation is final, so the reasons that can be taken
/// back are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No reason is given.
    Unspecified,
    /// The key is known or thought to be in wrong hands.
    KeyCompromise,
    /// The same of an authority's key.
    CaCompromise,
    /// The holder is not whom the certificate names any more.
    AffiliationChanged,
    /// There is a new certificate.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// What it entitles to was taken away.
    PrivilegeWithdrawn,
}

impl Reason {
    /// As RFC 5280 codes it. Of [`Unspecified`](Self::Unspecified) nothing is said at all.
    const fn code(self) -> Option<CrlReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(CrlReason::KeyCompromise),
            Self::CaCompromise => Some(CrlReason::CaCompromise),
            Self::AffiliationChanged => Some(CrlReason::AffiliationChanged),
            Self::Superseded => Some(CrlReason::Superseded),
            Self::CessationOfOperation => Some(CrlReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(CrlReason::PrivilegeWithdrawn),
        }
    }

    pub(super) const fn from_code(code: CrlReason) -> Option<Self> {
        match code {
            CrlReason::Unspecified => Some(Self::Unspecified),
            CrlReason::KeyCompromise => Some(Self::KeyCompromise),
            CrlReason::CaCompromise => Some(Self::CaCompromise),
            CrlReason::AffiliationChanged => Some(Self::AffiliationChanged),
            CrlReason::Superseded => Some(Self::Superseded),
            CrlReason::CessationOfOperation => Some(Self::CessationOfOperation),
            CrlReason::PrivilegeWithdrawn => Some(Self::PrivilegeWithdrawn),
            CrlReason::CertificateHold | CrlReason::RemoveFromCRL | CrlReason::AaCompromise => None,
        }
    }
}

impl Serial {
    pub(super) fn of(certificate: &X509Ref) -> Result<Self, AuthoringError> {
        Ok(Self(hex::encode(certificate.serial_number().to_bn()?.to_vec())))
    }

    pub(super) fn read(serial: &SerialNumber) -> Self {
        let bytes = serial.as_bytes();
        Self(hex::encode(bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes)))
    }

    /// In lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = AuthoringError;

    /// Upper and lower case, with or without colons between the bytes, as other programs print it.
    fn from_str(text: &str) -> Result<Self, AuthoringError> {
        let digits = text.replace(':', "").to_lowercase();
        let digits = digits.trim_start_matches("00");
        match hex::decode(digits) {
            Ok(bytes) if (1..=20).contains(&bytes.len()) => Ok(Self(digits.to_owned())),
            _ => Err(AuthoringError::Serial { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for Serial {
    type Error = AuthoringError;

    fn try_from(text: String) -> Result<Self, AuthoringError> {
        text.parse()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A complete list, version 2 (RFC 5280, section 5), as PEM.
pub(super) fn crl(
    issuer: &Holder,
    revoked: &[Revoked],
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
) -> Result<String, AuthoringError> {
    if next_update.as_second() <= this_update.as_second() {
        return Err(AuthoringError::NeverValid { until: next_update });
    }
    let list = list(issuer, revoked, number, this_update..next_update)?;
    let signed = list.to_der().map_err(CertificateError::from)?;
    let signature = Signer::new(digest(&issuer.key), &issuer.key)?.sign_oneshot_to_vec(&signed)?;
    let certified = CertificateList {
        signature_algorithm: list.signature.clone(),
        tbs_cert_list: list,
        signature: BitString::from_bytes(&signature).map_err(CertificateError::from)?,
    };
    let der = certified.to_der().map_err(CertificateError::from)?;
    pem::encode_string("X509 CRL", LineEnding::LF, &der).map_err(|_| CertificateError::Malformed.into())
}

fn list(
    issuer: &Holder,
    revoked: &[Revoked],
    number: u64,
    validity: Range<Timestamp>,
) -> Result<TbsCertList, AuthoringError> {
    let certificate = Certificate::from_native(&issuer.certificate)?.parsed.tbs_certificate;
    let id = certificate.get::<SubjectKeyIdentifier>().map_err(CertificateError::from)?;
    let (_, SubjectKeyIdentifier(id)) = id.ok_or(CertificateError::Malformed)?;
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(id),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let number = Uint::new(&number.to_be_bytes()).map(CrlNumber);
    let extensions = number.and_then(|number| Ok(vec![extension(&authority)?, extension(&number)?]));
    let entries = revoked.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    Ok(TbsCertList {
        version: Version::V2,
        signature: algorithm(issuer)?,
        issuer: certificate.subject,
        this_update: time(validity.start)?,
        next_update: Some(time(validity.end)?),
        // An empty list is absent, not empty (RFC 5280, 5.1.2.6).
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(extensions.map_err(CertificateError::from)?),
    })
}

fn entry(revoked: &Revoked) -> Result<RevokedCert, AuthoringError> {
    let misfit = || AuthoringError::Serial { text: revoked.serial.0.clone() };
    let bytes = hex::decode(&revoked.serial.0).map_err(|_| misfit())?;
    let reason = revoked.reason.code().map(|code| extension(&code).map(|extension| vec![extension]));
    Ok(RevokedCert {
        serial_number: SerialNumber::new(&bytes).map_err(|_| misfit())?,
        revocation_date: time(revoked.at)?,
        crl_entry_extensions: reason.transpose().map_err(CertificateError::from)?,
    })
}

/// No extension of a list that is written here is critical.
fn extension<E: der::Encode + AssociatedOid>(value: &E) -> der::Result<Extension> {
    Ok(Extension { extn_id: E::OID, critical: false, extn_value: OctetString::new(value.to_der()?)? })
}

/// ECDSA with the digest of the curve (RFC 5758, 3.2): authorities have no other keys.
fn algorithm(issuer: &Holder) -> Result<AlgorithmIdentifierOwned, AuthoringError> {
    let oid = match signing::algorithm_of(&issuer.key) {
        Some(SignatureAlgorithm::Es256) => ECDSA_WITH_SHA256,
        Some(SignatureAlgorithm::Es384) => ECDSA_WITH_SHA384,
        _ => return Err(AuthoringError::Unsigning),
    };
    Ok(AlgorithmIdentifierOwned { oid, parameters: None })
}

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// Two-digit years up to 2049, four digits after (RFC 5280, 5.1.2.4).
fn time(at: Timestamp) -> Result<Time, AuthoringError> {
    let since_epoch = u64::try_from(at.as_second()).map(Duration::from_secs);
    let since_epoch = since_epoch.map_err(|_| CertificateError::Malformed)?;
    let short = UtcTime::from_unix_duration(since_epoch).map(Time::from);
    let time = short.or_else(|_| GeneralizedTime::from_unix_duration(since_epoch).map(Time::from));
    Ok(time.map_err(CertificateError::from)?)
}
