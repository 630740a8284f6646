//! Making certificates, and sealing: what `authoring` and `development` share.

use std::{cmp::Ordering, collections::BTreeMap, iter, ops::Range};

use base64ct::{Base64, Encoding as _};
use const_oid::ObjectIdentifier;
use der::{Encode as _, oid::AssociatedOid as _};
use jiff::Timestamp;
use josekit::{JoseError, jwe::JweHeader};
use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, PKeyRef, Private},
    x509::{
        X509, X509Builder, X509Extension, X509Name, X509NameRef, X509Ref, X509VerifyResult,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
        },
    },
};
use serde_json::json;
use x509_cert::ext::pkix::{CertificatePolicies, certpolicy::PolicyInformation};

use crate::{
    certificate::{Certificate, CertificateError},
    claims::{Claims, ClaimsError},
    jwe::{CONTENT_ENCRYPTION, MAX_TOKEN_BYTES},
    key::SignatureAlgorithm,
    oid,
    path::ANY_POLICY,
    recipient::RecipientPublic,
    signing,
};

/// Why an authority, a signer or a license was not made. Nothing here holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoringError {
    /// A certificate needs a name of 1 to 64 characters (RFC 5280, ub-common-name), none of them a control character.
    #[error("the name `{}` does not have 1 to 64 printable characters", name.escape_debug())]
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
    /// A certificate would bear the name of its issuer.
    #[error("`{name}` is the issuer's own name; choose another one")]
    SameName {
        /// What was given.
        name: String,
    },
    /// The signer stands beneath a partner, which may not sign for this product: its policy is not asserted all along the
    /// path, or not known here, or a rule reaches beyond it.
    #[error("the signer's partner may not sign for `{named}`")]
    ForeignProduct {
        /// The product, or the allow rule.
        named: String,
    },
    /// A policy that means something else was given as a product's.
    #[error("the policy `{policy}` cannot stand for a product")]
    ReservedPolicy {
        /// Which.
        policy: ObjectIdentifier,
    },
    /// The claims assert a policy that the signer's path is not valid for.
    #[error("the signer's path is not valid for the policy `{policy}`")]
    Policy {
        /// What they assert.
        policy: ObjectIdentifier,
    },
    /// A license in key format asserts certificate policies, which nothing backs.
    #[error("a license key has no certificate, so its license asserts no policies")]
    PolicyUnderKey,
    /// A stored certificate is not of the kind that is needed.
    #[error("the certificate is not {expected}'s")]
    Role {
        /// What is needed.
        expected: &'static str,
    },
    /// Stored certificates do not lead from one to the next.
    #[error("the certificates do not lead from one to the next")]
    BrokenChain,
    /// A stored key is of a kind that signs nothing here.
    #[error("the private key is not of a kind that signs here")]
    Unsigning,
    /// A list of revoked certificates has one that is not a serial number.
    #[error("`{text}` is not a serial number in hex")]
    Serial {
        /// What was given.
        text: String,
    },
    /// A key's name has 1 to 128 characters, without white space.
    #[error("the key id `{kid}` does not have 1 to 128 characters without white space")]
    KeyId {
        /// What was given.
        kid: String,
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
    /// A passphrase that OpenSSL would cut short.
    #[error("the passphrase holds a zero byte")]
    PassphraseZero,
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

/// A certificate, its key, and what leads to its root.
pub(crate) struct Holder {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
    /// Its issuer first, without the root.
    pub(crate) issuers: Vec<X509>,
}

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Content<'p> {
    /// It vouches for others, with at most so many authorities between it and a signer.
    Authority {
        /// pathLenConstraint (RFC 5280, 4.2.1.9).
        path_length: u32,
        /// What it asserts.
        policies: &'p [ObjectIdentifier],
    },
    /// It signs licenses.
    Signer {
        /// What it asserts.
        policies: &'p [ObjectIdentifier],
    },
}

impl Holder {
    /// A root.
    pub(crate) fn self_signed(
        name: &str,
        key: PKey<Private>,
        validity: &Range<Timestamp>,
        content: Content<'_>,
    ) -> Result<Self, AuthoringError> {
        let name = common_name(name)?;
        let mut draft = draft(&name, &name, &key, validity)?;
        content.append_to(&mut draft, None)?;
        draft.sign(&key, digest(&key))?;
        Ok(Self { certificate: draft.build(), key, issuers: Vec::new() })
    }

    /// A certificate beneath this one, which it may not outlive.
    pub(crate) fn certify(
        &self,
        name: &str,
        key: PKey<Private>,
        validity: &Range<Timestamp>,
        content: Content<'_>,
    ) -> Result<Self, AuthoringError> {
        let issuer_until = self.expires_at()?;
        if outlives(validity.end, issuer_until) {
            return Err(AuthoringError::BeyondIssuer { until: validity.end, issuer_until });
        }
        let subject = common_name(name)?;
        let issuer = self.certificate.subject_name();
        // A certificate whose subject is its issuer's is self-issued, which RFC 5280 counts differently.
        if subject.try_cmp(issuer)? == Ordering::Equal {
            return Err(AuthoringError::SameName { name: name.to_owned() });
        }
        let mut draft = draft(&subject, issuer, &key, validity)?;
        content.append_to(&mut draft, Some(&self.certificate))?;
        draft.sign(&self.key, digest(&self.key))?;
        let issuers = if self.is_root() { Vec::new() } else { self.chain().cloned().collect() };
        Ok(Self { certificate: draft.build(), key, issuers })
    }

    /// Itself first, without the root unless it is one.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &X509> {
        iter::once(&self.certificate).chain(&self.issuers)
    }

    /// When the first of the chain expires.
    pub(crate) fn expires_at(&self) -> Result<Timestamp, AuthoringError> {
        let mut first = Timestamp::MAX;
        for certificate in self.chain() {
            first = first.min(Certificate::from_native(certificate)?.expires_at);
        }
        Ok(first)
    }

    fn is_root(&self) -> bool {
        self.certificate.issued(&self.certificate) == X509VerifyResult::OK
    }

    /// Signs and seals claims that the recipient can read until their grace ends.
    pub(crate) fn seal(
        &self,
        claims: &Claims,
        recipient: &RecipientPublic,
        products: &BTreeMap<String, ObjectIdentifier>,
    ) -> Result<String, AuthoringError> {
        let payload = payload(claims)?;
        self.check(claims, products)?;

        let algorithm = signing::algorithm_of(&self.key).ok_or(AuthoringError::Unsigning)?;
        let x5c = self.chain().map(|certificate| Ok(Base64::encode_string(&certificate.to_der()?)));
        let header = json!({ "alg": algorithm.name(), "x5c": x5c.collect::<Result<Vec<_>, ErrorStack>>()? });
        let jws = signing::compact(&header, &payload, algorithm, &self.key)?;

        let mut header = JweHeader::new();
        header.set_content_encryption(CONTENT_ENCRYPTION);
        let token = josekit::jwe::serialize_compact(jws.as_bytes(), &header, recipient.encrypter())?;
        bounded(token)
    }

    /// What the opening side would refuse for the sake of this chain. It mirrors `Trusted::check_claims`; only there do
    /// root and revocation lists come in.
    fn check(
        &self,
        claims: &Claims,
        products: &BTreeMap<String, ObjectIdentifier>,
    ) -> Result<(), AuthoringError> {
        let (until, signer_until) = (claims.grace_ends_at(), self.expires_at()?);
        if outlives(until, signer_until) {
            return Err(AuthoringError::BeyondSigner { until, signer_until });
        }
        let chain: Vec<_> =
            self.chain().map(|native| Certificate::from_native(native)).collect::<Result<_, _>>()?;
        let (signer, authorities) = chain.split_first().ok_or(AuthoringError::BrokenChain)?;
        // The policies of a path are those its signer asserts and every authority allows (RFC 5280, 6.1.3 d).
        let is_valid_for = |policy: &ObjectIdentifier| {
            signer.policies.contains(policy)
                && authorities.iter().all(|authority| {
                    [*policy, ANY_POLICY].iter().any(|known| authority.policies.contains(known))
                })
        };

        for (index, text) in claims.asserted_policies.iter().enumerate() {
            let misfit = |_| ClaimsError::Misfit { path: format!("assertedPolicies[{index}]") };
            let policy = ObjectIdentifier::new(text).map_err(misfit)?;
            if !is_valid_for(&policy) {
                return Err(AuthoringError::Policy { policy });
            }
        }

        if !authorities.iter().any(|authority| authority.policies.contains(&oid::PARTNER_CA_POLICY)) {
            return Ok(());
        }
        let foreign = |named: &str| AuthoringError::ForeignProduct { named: named.to_owned() };
        let may_sign_for = |product: &str| products.get(product).is_some_and(is_valid_for);
        if let Some(product) = claims.grant.products.keys().find(|product| !may_sign_for(product)) {
            return Err(foreign(product));
        }
        for rule in &claims.grant.commands.allow {
            let products = rule.products().ok_or_else(|| foreign(rule.as_str()))?;
            if !products.iter().all(|product| may_sign_for(product)) {
                return Err(foreign(rule.as_str()));
            }
        }
        Ok(())
    }
}

impl Content<'_> {
    /// Certificate policies stay non-critical, so that verifiers that do not process them can still read our chains.
    fn append_to(self, draft: &mut X509Builder, issuer: Option<&X509Ref>) -> Result<(), AuthoringError> {
        let mut constraints = BasicConstraints::new();
        let mut usage = KeyUsage::new();
        let asserted = match self {
            Self::Authority { path_length, policies } => {
                constraints.ca().pathlen(path_length);
                usage.key_cert_sign().crl_sign();
                policies
            }
            Self::Signer { policies } => {
                usage.digital_signature();
                policies
            }
        };
        draft.append_extension(constraints.critical().build()?)?;
        draft.append_extension(usage.critical().build()?)?;
        if let Self::Signer { .. } = self {
            let eku = oid::LICENSE_SIGNING_EKU.to_string();
            draft.append_extension(ExtendedKeyUsage::new().other(&eku).build()?)?;
        }
        let id = SubjectKeyIdentifier::new().build(&draft.x509v3_context(None, None))?;
        draft.append_extension(id)?;
        if let Some(issuer) = issuer {
            let context = draft.x509v3_context(Some(issuer), None);
            let id = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
            draft.append_extension(id)?;
        }
        if !asserted.is_empty() {
            draft.append_extension(policies(asserted)?)?;
        }
        Ok(())
    }
}

/// The claims as they are signed: those a deployment would read.
pub(crate) fn payload(claims: &Claims) -> Result<Vec<u8>, AuthoringError> {
    let payload = serde_json::to_vec(claims).map_err(|_| ClaimsError::NotClaims)?;
    Claims::parse(&payload)?;
    Ok(payload)
}

/// A token that a deployment would read.
pub(crate) fn bounded(token: String) -> Result<String, AuthoringError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthoringError::TooLarge { bytes: token.len(), limit: MAX_TOKEN_BYTES });
    }
    Ok(token)
}

/// What this key's X.509 signatures are over (RFC 5758).
pub(crate) fn digest(key: &PKeyRef<Private>) -> MessageDigest {
    match signing::algorithm_of(key) {
        Some(SignatureAlgorithm::Es384) => MessageDigest::sha384(),
        _ => MessageDigest::sha256(),
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
    if !(1..=64).contains(&name.trim().chars().count()) || name.contains(char::is_control) {
        return Err(AuthoringError::Name { name: name.to_owned() });
    }
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, name.trim())?;
    Ok(builder.build())
}

fn policies(asserted: &[ObjectIdentifier]) -> Result<X509Extension, AuthoringError> {
    let information = |&policy_identifier| PolicyInformation { policy_identifier, policy_qualifiers: None };
    let policies = CertificatePolicies(asserted.iter().map(information).collect());
    let der = policies.to_der().map_err(CertificateError::from)?;
    let id = Asn1Object::from_str(&CertificatePolicies::OID.to_string())?;
    Ok(X509Extension::new_from_der(&id, false, &*Asn1OctetString::new_from_bytes(&der)?)?)
}

/// Certificates as PEM, one after the other.
pub(crate) fn pem<'c>(certificates: impl IntoIterator<Item = &'c X509>) -> Result<String, AuthoringError> {
    let mut text = String::new();
    for certificate in certificates {
        text += &String::from_utf8_lossy(&certificate.to_pem()?);
    }
    Ok(text)
}
