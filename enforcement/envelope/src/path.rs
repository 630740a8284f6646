//! Certification paths (RFC 5280, section 6) by themselves, so that NIST PKITS can judge them. A valid path proves nothing
//! about a license: only [`open`](crate::open) does.
//!
//! The rules are pkix-path's, the signatures OpenSSL's, revocation is ours for the one case that is accepted: a complete
//! list by the issuer itself (decision 0007).

use std::cell::Cell;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use pkix_path::{
    PolicyTreeNode, SignatureVerifier, TrustAnchor, ValidationPolicy, names_match, validate_path,
};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use crate::key::PublicKey;
pub use crate::{
    certificate::{Certificate, CertificateError, MAX_CERTIFICATE_BYTES},
    crl::{Crl, CrlError, MAX_CRL_BYTES},
};

/// The most signatures that are verified for one path, lists included.
pub const MAX_SIGNATURE_CHECKS: u32 = 32;

/// Stands for any policy (RFC 5280, 4.2.1.4).
pub const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// The inputs of the algorithm that concern policies (RFC 5280, 6.1.1 c to f).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Some policy must be valid.
    pub explicit_policy: bool,
    /// The policies that are acceptable; empty means any.
    pub policies: Vec<ObjectIdentifier>,
    /// Policy mappings are not followed.
    pub inhibit_mapping: bool,
    /// anyPolicy stands for no other.
    pub inhibit_any_policy: bool,
}

/// What the algorithm yields.
#[derive(Clone, Debug)]
pub struct ValidPath {
    pub(crate) anchor: usize,
    policies: Vec<ObjectIdentifier>,
    fresh_until: Option<Timestamp>,
}

impl ValidPath {
    /// The policies for which the path is valid, [`ANY_POLICY`] among them if it is valid for all.
    pub fn policies(&self) -> &[ObjectIdentifier] {
        &self.policies
    }

    /// When the first of the lists that were looked at has to be replaced.
    pub const fn fresh_until(&self) -> Option<Timestamp> {
        self.fresh_until
    }
}

/// Why a path is not valid. Certificates count from zero, the end entity being 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// There is no anchor of the last issuer's name, or the path has no certificate.
    #[error("no path leads to a configured root")]
    NoAnchor,
    /// A certificate is outside its validity.
    #[error("certificate {position} is not valid at the time of the check")]
    Validity {
        /// Which.
        position: usize,
    },
    /// A signature does not match its issuer's key, or its algorithm is not accepted.
    #[error("the signature on certificate {position} does not match its issuer's key")]
    Signature {
        /// Which.
        position: usize,
    },
    /// A certificate was not issued by the one that follows.
    #[error("certificate {position} was not issued by the one that follows")]
    Order {
        /// Which.
        position: usize,
    },
    /// An issuer is no certification authority.
    #[error("certificate {position} is not an authority")]
    NotAnAuthority {
        /// Which.
        position: usize,
    },
    /// More authorities in a row than one of them allows.
    #[error("the path length is more than an authority allows")]
    Length,
    /// A name outside the constraints of an authority.
    #[error("certificate {position} has a name outside its authority's constraints")]
    Name {
        /// Which.
        position: usize,
    },
    /// No acceptable policy is valid through the whole path, and one is required.
    #[error("no acceptable policy is valid through the whole path")]
    NoPolicy,
    /// An extension that must be understood, and is not, or a certificate that contradicts itself.
    #[error("certificate {position} is malformed or has an unknown critical extension")]
    Malformed {
        /// Which.
        position: usize,
    },
    /// A certificate stands twice.
    #[error("a certificate stands twice in the path")]
    Twice,
    /// More signatures than [`MAX_SIGNATURE_CHECKS`] would have to be verified.
    #[error("the path needs more than {MAX_SIGNATURE_CHECKS} signature checks")]
    TooMuchWork,
    /// Another rule of RFC 5280.
    #[error("the path breaks a rule of RFC 5280")]
    Rule,
    /// The issuer has revoked the certificate.
    #[error("certificate {position} is revoked")]
    Revoked {
        /// Which.
        position: usize,
    },
    /// No list of the certificate's issuer is there, or none is signed by it.
    #[error("there is no revocation list by the issuer of certificate {position}")]
    NoList {
        /// Which.
        position: usize,
    },
    /// There is such a list, but none that is current.
    #[error("the revocation list for certificate {position} was due to be replaced at {due}")]
    StaleList {
        /// Which.
        position: usize,
        /// `nextUpdate` of the newest.
        due: Timestamp,
    },
}

impl From<pkix_path::Error> for PathError {
    fn from(error: pkix_path::Error) -> Self {
        use pkix_path::Error;
        match error {
            Error::SignatureInvalid { index: position } | Error::AlgorithmNotAllowed { index: position } => {
                Self::Signature { position }
            }
            Error::ValidityPeriod { index: position } => Self::Validity { position },
            Error::ChainBroken { index: position } => Self::Order { position },
            Error::NoTrustedPath => Self::NoAnchor,
            Error::PathTooLong => Self::Length,
            Error::NotCA { index: position } | Error::KeyUsageMissing { index: position } => {
                Self::NotAnAuthority { position }
            }
            Error::NameConstraintViolation { index: position } => Self::Name { position },
            Error::PolicyViolation { .. } => Self::NoPolicy,
            Error::MalformedCertificate { index: position }
            | Error::UnhandledCriticalExtension { index: position } => Self::Malformed { position },
            Error::DuplicateCertificate { .. } => Self::Twice,
            _ => Self::Rule,
        }
    }
}

/// Validates a path: `chain` is the end entity first, the certificate that an anchor issued last. With `crls`, every
/// certificate of the chain must be covered by a current list of its own issuer; without, revocation is not looked at.
pub fn validate(
    chain: &[Certificate],
    anchors: &[Certificate],
    crls: Option<&[Crl]>,
    requirements: &Requirements,
    at: Timestamp,
) -> Result<ValidPath, PathError> {
    let read: Result<Vec<TrustAnchor>, _> = anchors.iter().map(Certificate::anchor).collect();
    let read = read.map_err(|_| PathError::NoAnchor)?;
    walk(chain, anchors, &read, crls, requirements, at)
}

/// [`validate`] with anchors that were read before, in the order of their certificates.
pub(crate) fn walk(
    chain: &[Certificate],
    roots: &[Certificate],
    anchors: &[TrustAnchor],
    crls: Option<&[Crl]>,
    requirements: &Requirements,
    at: Timestamp,
) -> Result<ValidPath, PathError> {
    let mut policy = ValidationPolicy::new(u64::try_from(at.as_second()).unwrap_or(0));
    policy.initial_explicit_policy = requirements.explicit_policy;
    policy.initial_policy_set.clone_from(&requirements.policies);
    policy.initial_policy_mapping_inhibit = requirements.inhibit_mapping;
    policy.initial_any_policy_inhibit = requirements.inhibit_any_policy;

    let signatures = Signatures { known: [chain, roots], spent: Cell::new(0) };
    let parsed: Vec<_> = chain.iter().map(|certificate| certificate.parsed.clone()).collect();
    let found = validate_path(&parsed, anchors, &policy, &signatures);
    if signatures.spent.get() > MAX_SIGNATURE_CHECKS {
        return Err(PathError::TooMuchWork);
    }
    let found = found?;
    let valid = found.valid_policy_tree.unwrap_or_default();
    let leaf_depth = chain.len();
    let mut policies: Vec<_> = surviving(&valid, leaf_depth, &requirements.policies)
        .into_iter()
        .map(|node| node.valid_policy)
        .collect();
    if policies.is_empty() && !requirements.policies.is_empty() {
        return Err(PathError::NoPolicy);
    }
    policies.sort_unstable();
    policies.dedup();

    let root = &roots[found.anchor_index];
    let fresh_until = match crls {
        Some(crls) => Some(unrevoked(chain, root, crls, &signatures, at)?),
        None => None,
    };
    Ok(ValidPath { anchor: found.anchor_index, policies, fresh_until })
}

/// The nodes of the policy tree for the end entity.
///
/// pkix-path 0.3.2 prunes an anyPolicy node whose children it created, and then takes those children for ones that a named
/// policy led to, so that an unacceptable policy may survive RFC 5280, 6.1.5 (g)(iii)(2). PKITS 4.8.14 tells; it does not
/// survive here.
fn surviving<'t>(
    tree: &'t [PolicyTreeNode],
    leaf_depth: usize,
    acceptable: &[ObjectIdentifier],
) -> Vec<&'t PolicyTreeNode> {
    let at = |depth| tree.iter().filter(move |node| node.depth == depth);
    let mut level: Vec<_> = at(1).collect();
    for depth in 2..=leaf_depth {
        let above = std::mem::take(&mut level);
        level.extend(at(depth).filter(|node| {
            let leads_here =
                |parent: &&PolicyTreeNode| parent.expected_policy_set.contains(&node.valid_policy);
            if at(depth - 1).any(|parent| leads_here(&parent)) {
                above.iter().any(leads_here)
            } else {
                acceptable.is_empty() || acceptable.contains(&node.valid_policy)
            }
        }));
    }
    level
}

/// Each certificate of the chain with the one that issued it.
fn pairs<'c>(
    chain: &'c [Certificate],
    root: &'c Certificate,
) -> impl Iterator<Item = (usize, &'c Certificate, &'c Certificate)> {
    let issuers = chain.iter().skip(1).chain([root]);
    chain.iter().zip(issuers).enumerate().map(|(position, (subject, issuer))| (position, subject, issuer))
}

/// Until when it is certain that nothing of the chain is revoked.
fn unrevoked(
    chain: &[Certificate],
    root: &Certificate,
    crls: &[Crl],
    signatures: &Signatures<'_>,
    at: Timestamp,
) -> Result<Timestamp, PathError> {
    let mut fresh_until = Timestamp::MAX;
    for (position, subject, issuer) in pairs(chain, root) {
        let mut current = None::<Timestamp>;
        let mut stale = None::<Timestamp>;
        for crl in crls.iter().filter(|crl| names_match(crl.issuer(), subject.issuer())) {
            if !issuer.signs_crls {
                continue;
            }
            signatures.spend().map_err(|_| PathError::TooMuchWork)?;
            if !crl.is_signed_by(issuer.key()) {
                continue;
            }
            // What a list says of a certificate stays true when the list is old.
            if crl.names(&subject.parsed.tbs_certificate.serial_number) {
                return Err(PathError::Revoked { position });
            }
            let newest = if crl.is_current(at) { &mut current } else { &mut stale };
            *newest = Some(newest.map_or(crl.next_update(), |known| known.max(crl.next_update())));
        }
        match (current, stale) {
            (Some(until), _) => fresh_until = fresh_until.min(until),
            (None, Some(due)) => return Err(PathError::StaleList { position, due }),
            (None, None) => return Err(PathError::NoList { position }),
        }
    }
    Ok(fresh_until)
}

/// The first certificate of the chain that one of these lists names, however old the list.
pub(crate) fn revoked_by(chain: &[Certificate], root: &Certificate, crls: &[Crl]) -> Option<usize> {
    pairs(chain, root).find_map(|(position, subject, issuer)| {
        let named = crls.iter().any(|crl| {
            names_match(crl.issuer(), subject.issuer())
                && crl.names(&subject.parsed.tbs_certificate.serial_number)
                && crl.is_signed_by(issuer.key())
        });
        named.then_some(position)
    })
}

/// pkix-path's port for signatures: OpenSSL, with a budget, on keys that were read once.
struct Signatures<'c> {
    known: [&'c [Certificate]; 2],
    spent: Cell<u32>,
}

impl Signatures<'_> {
    fn spend(&self) -> Result<(), signature::Error> {
        self.spent.set(self.spent.get() + 1);
        if self.spent.get() > MAX_SIGNATURE_CHECKS { Err(signature::Error::new()) } else { Ok(()) }
    }
}

impl SignatureVerifier for Signatures<'_> {
    fn verify_signature(
        &self,
        algorithm: AlgorithmIdentifierRef<'_>,
        issuer: SubjectPublicKeyInfoRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), signature::Error> {
        self.spend()?;
        let is_issuer = |certificate: &&Certificate| {
            let key = &certificate.parsed.tbs_certificate.subject_public_key_info;
            key.algorithm.oid == issuer.algorithm.oid
                && key.subject_public_key.as_bytes() == issuer.subject_public_key.as_bytes()
        };
        let known = self.known.into_iter().flatten().find(is_issuer).map(Certificate::key);
        let verifies = |key: &PublicKey| key.verifies_x509(&algorithm, message, signature);
        if known.is_some_and(verifies) { Ok(()) } else { Err(signature::Error::new()) }
    }
}
