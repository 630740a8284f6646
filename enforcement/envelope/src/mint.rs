//! Making roots and signers, and sealing: what `authoring` and `development` share.

use std::ops::Range;

use const_oid::ObjectIdentifier;
use der::{Encode as _, oid::AssociatedOid as _};
use jiff::Timestamp;
use josekit::{
    JoseError,
    jwe::JweHeader,
    jws::{ES256, JwsHeader},
};
use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, PKeyRef, Private},
    x509::{
        X509, X509Builder, X509Extension, X509Name, X509NameRef, X509Ref,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
        },
    },
};
use x509_cert::ext::pkix::{CertificatePolicies, certpolicy::PolicyInformation};
use zeroize::Zeroizing;

use crate::{
    certificate::{Certificate, CertificateError},
    claims::{Claims, ClaimsError},
    jwe::{CONTENT_ENCRYPTION, MAX_TOKEN_BYTES},
    oid,
    recipient::{RecipientPublic, new_key},
    verified::Authority,
};

/// Why an authority, a signer or a license was not made. Nothing here holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoringError {
    /// A certificate needs a name of 1 to 64 characters (RFC 5280, ub-common-name).
    #[error("the name `{name}` does not have 1 to 64 characters")]
    Name {
        /// What was given.
        name: String,
    },
    /// The validity ends before it begins.
    #[error("the validity ends at {until}, before it begins")]
    NeverValid {
        /// Its end.
        until: Timestamp,
    },
    /// The certificate would outlive its issuer.
    #[error("the certificate would be valid until {until}, its issuer only until {issuer_until}")]
    BeyondIssuer {
        /// What was asked for.
        until: Timestamp,
        /// What there is.
        issuer_until: Timestamp,
    },
    /// The license would outlive its signer, and stop to open before its time.
    #[error("the license would count until {until}, its signer only until {signer_until}")]
    BeyondSigner {
        /// End of the license's grace.
        until: Timestamp,
        /// End of the signer's chain.
        signer_until: Timestamp,
    },
    /// The claims would not open.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The token would be longer than a deployment reads.
    #[error("the license would have {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Length of the token.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A stored certificate cannot be read.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    /// A stored key needs a passphrase.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A stored key does not open: the wrong passphrase, or not a private key in PEM.
    #[error("the private key does not open with this passphrase")]
    Key,
    /// A stored key belongs to another certificate.
    #[error("the private key is not the certificate's")]
    OtherKey,
    /// OpenSSL or josekit failed, in their words.
    #[error("cryptography failed: {0}")]
    Crypto(String),
}

impl From<ErrorStack> for AuthoringError {
    fn from(error: ErrorStack) -> Self {
        Self::Crypto(error.to_string())
    }
}

impl From<JoseError> for AuthoringError {
    fn from(error: JoseError) -> Self {
        Self::Crypto(error.to_string())
    }
}

/// A self-signed authority and its key.
pub(crate) struct Root {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// A certificate that signs licenses, its key, and what leads to its root.
pub(crate) struct Signer {
    /// The signer first, without the root.
    pub(crate) chain: Vec<X509>,
    pub(crate) key: PKey<Private>,
    /// When the first of the chain expires.
    pub(crate) expires_at: Timestamp,
}

impl Root {
    /// A vendor's root may have one level of intermediates beneath it, a development root none.
    pub(crate) fn create(
        name: &str,
        validity: &Range<Timestamp>,
        authority: Authority,
    ) -> Result<Self, AuthoringError> {
        let key = new_key()?;
        let name = common_name(name)?;
        let mut draft = draft(&name, &name, &key, validity)?;
        let (path_length, policy) = match authority {
            Authority::Vendor => (1, None),
            Authority::Development => (0, Some(oid::DEVELOPMENT_POLICY)),
        };
        draft.append_extension(BasicConstraints::new().critical().ca().pathlen(path_length).build()?)?;
        draft.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        append_subject_key_id(&mut draft)?;
        if let Some(policy) = policy {
            draft.append_extension(policies(policy)?)?;
        }
        draft.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: draft.build(), key })
    }

    /// Certificate policies stay non-critical, so that verifiers that do not process them can still read our chains.
    pub(crate) fn signer(&self, name: &str, validity: &Range<Timestamp>) -> Result<Signer, AuthoringError> {
        let issuer_until = Certificate::from_native(&self.certificate)?.expires_at;
        if outlives(validity.end, issuer_until) {
            return Err(AuthoringError::BeyondIssuer { until: validity.end, issuer_until });
        }
        let key = new_key()?;
        let subject = common_name(name)?;
        let mut draft = draft(&subject, self.certificate.subject_name(), &key, validity)?;
        draft.append_extension(BasicConstraints::new().critical().build()?)?;
        draft.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        let eku = oid::LICENSE_SIGNING_EKU.to_string();
        draft.append_extension(ExtendedKeyUsage::new().other(&eku).build()?)?;
        append_subject_key_id(&mut draft)?;
        append_authority_key_id(&mut draft, &self.certificate)?;
        draft.append_extension(policies(oid::LICENSE_SIGNING_POLICY)?)?;
        draft.sign(&self.key, MessageDigest::sha256())?;
        Signer::new(vec![draft.build()], key)
    }
}

impl Signer {
    pub(crate) fn new(chain: Vec<X509>, key: PKey<Private>) -> Result<Self, AuthoringError> {
        let mut expires_at = Timestamp::MAX;
        for certificate in &chain {
            expires_at = expires_at.min(Certificate::from_native(certificate)?.expires_at);
        }
        Ok(Self { chain, key, expires_at })
    }

    /// Signs and seals claims that the recipient can read until their grace ends.
    pub(crate) fn seal(
        &self,
        claims: &Claims,
        recipient: &RecipientPublic,
    ) -> Result<String, AuthoringError> {
        let payload = serde_json::to_vec(claims).map_err(|_| ClaimsError::NotClaims)?;
        Claims::parse(&payload)?;
        if outlives(claims.grace_ends_at(), self.expires_at) {
            let until = claims.grace_ends_at();
            return Err(AuthoringError::BeyondSigner { until, signer_until: self.expires_at });
        }

        let mut header = JwsHeader::new();
        let x5c = self.chain.iter().map(|certificate| certificate.to_der()).collect::<Result<Vec<_>, _>>()?;
        header.set_x509_certificate_chain(&x5c);
        let pkcs8 = Zeroizing::new(self.key.private_key_to_pkcs8()?);
        let jws = josekit::jws::serialize_compact(&payload, &header, &ES256.signer_from_der(&*pkcs8)?)?;

        let mut header = JweHeader::new();
        header.set_content_encryption(CONTENT_ENCRYPTION);
        let token = josekit::jwe::serialize_compact(jws.as_bytes(), &header, recipient.encrypter())?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthoringError::TooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
        }
        Ok(token)
    }
}

/// Certificates count in whole seconds, so fractions do not.
fn outlives(until: Timestamp, expires_at: Timestamp) -> bool {
    until.as_second() > expires_at.as_second()
}

/// A certificate without extensions and signature: version 3, a random serial number of 159 bits (RFC 5280, 4.1.2.2).
fn draft(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKeyRef<Private>,
    validity: &Range<Timestamp>,
) -> Result<X509Builder, AuthoringError> {
    if validity.is_empty() {
        return Err(AuthoringError::NeverValid { until: validity.end });
    }
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::ONE, false)?;

    let mut draft = X509::builder()?;
    draft.set_version(2)?;
    draft.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    draft.set_subject_name(subject)?;
    draft.set_issuer_name(issuer)?;
    draft.set_pubkey(key)?;
    draft.set_not_before(&*Asn1Time::from_unix(validity.start.as_second())?)?;
    draft.set_not_after(&*Asn1Time::from_unix(validity.end.as_second())?)?;
    Ok(draft)
}

fn common_name(name: &str) -> Result<X509Name, AuthoringError> {
    if !(1..=64).contains(&name.trim().chars().count()) {
        return Err(AuthoringError::Name { name: name.to_owned() });
    }
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name.trim())?;
    Ok(builder.build())
}

fn append_subject_key_id(draft: &mut X509Builder) -> Result<(), ErrorStack> {
    let id = SubjectKeyIdentifier::new().build(&draft.x509v3_context(None, None))?;
    draft.append_extension(id)
}

fn append_authority_key_id(draft: &mut X509Builder, issuer: &X509Ref) -> Result<(), ErrorStack> {
    let id = AuthorityKeyIdentifier::new().keyid(true).build(&draft.x509v3_context(Some(issuer), None))?;
    draft.append_extension(id)
}

fn policies(policy: ObjectIdentifier) -> Result<X509Extension, AuthoringError> {
    let policies =
        CertificatePolicies(vec![PolicyInformation { policy_identifier: policy, policy_qualifiers: None }]);
    let der = policies.to_der().map_err(CertificateError::from)?;
    let id = Asn1Object::from_str(&CertificatePolicies::OID.to_string())?;
    Ok(X509Extension::new_from_der(&id, false, &*Asn1OctetString::new_from_bytes(&der)?)?)
}

/// Certificates as PEM, one after the other.
pub(crate) fn pem(certificates: &[X509]) -> Result<String, AuthoringError> {
    let mut text = String::new();
    for certificate in certificates {
        text += &String::from_utf8_lossy(&certificate.to_pem()?);
    }
    Ok(text)
}
