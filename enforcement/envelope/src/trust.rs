//! Whom this deployment believes: a bundle of roots, and what their chains must assert (RFC 5280, section 6).

use std::{collections::BTreeMap, fmt};

use base64ct::{Base64, Encoding as _};
use const_oid::ObjectIdentifier;
use descriptors::grant::Grant;
use jiff::Timestamp;
use pkix_path::TrustAnchor;

use crate::{
    certificate::{Certificate, CertificateError},
    claims::{Claims, ClaimsError},
    crl::{Crl, Crls},
    error::EnvelopeError,
    jws::Signed,
    oid,
    path::{self, ANY_POLICY, PathError, Requirements, ValidPath},
    verified::Authority,
};

/// The most roots of a bundle.
pub const MAX_ROOTS: usize = 16;

/// The roots, and what a signer and its intermediates must assert. Nothing else is trusted: not the system's store, and
/// no intermediate for its own sake.
pub struct Trust {
    roots: Vec<Certificate>,
    /// The same roots, as starts of paths.
    anchors: Vec<TrustAnchor>,
    purposes: Vec<ObjectIdentifier>,
    policies: Vec<ObjectIdentifier>,
    partners: Option<Partners>,
    crls: Option<Crls>,
}

/// What sets partner authorities apart, and what they may sign for (semantics 3.4). A partner is an intermediate that
/// asserts one of `markers`. It may sign for a product whose policy is among `allowed`, and for which its whole path is
/// valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partners {
    /// `license.trust.partner-ca-policy-oid`. Empty turns the check off: no intermediate is a partner.
    pub markers: Vec<ObjectIdentifier>,
    /// `license.trust.partner-allowed-policy-oids`. Empty turns this check off; the path must still be valid for the
    /// product.
    pub allowed: Vec<ObjectIdentifier>,
    /// The policy of each product, as the catalog states it. A product without one is for no partner.
    pub products: BTreeMap<String, ObjectIdentifier>,
}

/// Why a bundle is not one to trust. Certificates count from zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not PEM, or with something else in it.
    #[error("the root bundle is not a list of PEM certificates")]
    Pem,
    /// No certificate at all.
    #[error("the root bundle holds no certificate")]
    Empty,
    /// More than [`MAX_ROOTS`].
    #[error("the root bundle holds {roots} certificates, at most {MAX_ROOTS} are accepted")]
    TooMany {
        /// Certificates found.
        roots: usize,
    },
    /// A certificate cannot be read.
    #[error("certificate {position} of the root bundle: {problem}")]
    Certificate {
        /// Position in the bundle.
        position: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// A certificate is not a self-signed authority. Intermediates travel in the token.
    #[error("certificate {position} of the root bundle is not a self-signed authority")]
    NotARoot {
        /// Position in the bundle.
        position: usize,
    },
}

/// A payload signed by someone we believe, and what speaks for them.
pub(crate) struct Trusted<'t> {
    trust: &'t Trust,
    pub(crate) payload: Vec<u8>,
    chain: Vec<Certificate>,
    root: &'t Certificate,
    path: ValidPath,
}

impl Trust {
    /// Reads a bundle of self-signed authorities (PEM). Signers must then carry [`oid::LICENSE_SIGNING_EKU`], and their
    /// paths be valid for [`oid::LICENSE_SIGNING_POLICY`], until configured otherwise.
    pub fn from_pem(bundle: &str) -> Result<Self, TrustError> {
        let read = Certificate::all_from_pem(bundle).map_err(|_| TrustError::Pem)?;
        match read.len() {
            0 => return Err(TrustError::Empty),
            1..=MAX_ROOTS => {}
            roots => return Err(TrustError::TooMany { roots }),
        }
        let mut roots = Vec::new();
        let mut anchors = Vec::new();
        for (position, root) in read.into_iter().enumerate() {
            let refused = |problem| TrustError::Certificate { position, problem };
            let root = root.map_err(refused)?;
            if !root.is_authority || !root.is_self_signed() {
                return Err(TrustError::NotARoot { position });
            }
            anchors.push(root.anchor().map_err(refused)?);
            roots.push(root);
        }
        Ok(Self {
            roots,
            anchors,
            purposes: vec![oid::LICENSE_SIGNING_EKU],
            policies: vec![oid::LICENSE_SIGNING_POLICY],
            partners: None,
            crls: None,
        })
    }

    /// Replaces the extended key usages a signer must carry, all of them. An empty list turns the check off
    /// (`license.trust.license-signing-eku`, semantics 3.4).
    #[must_use]
    pub fn requiring_eku(self, purposes: Vec<ObjectIdentifier>) -> Self {
        Self { purposes, ..self }
    }

    /// Replaces the policies that the signer must assert and its whole path must be valid for, all of them. An empty list
    /// turns the check off (`license.trust.required-policy-oids`, semantics 3.4).
    #[must_use]
    pub fn requiring_policies(self, policies: Vec<ObjectIdentifier>) -> Self {
        Self { policies, ..self }
    }

    /// Tells partner authorities apart and binds them to their products.
    #[must_use]
    pub fn partners(self, partners: Partners) -> Self {
        Self { partners: Some(partners), ..self }
    }

    /// Requires of every certificate below the root that a current list of its issuer does not name it.
    #[must_use]
    pub fn checking_crls(self, crls: Crls) -> Self {
        Self { crls: Some(crls), ..self }
    }

    /// The path first, then what its certificates assert.
    pub(crate) fn accept(&self, signed: Signed, at: Timestamp) -> Result<Trusted<'_>, EnvelopeError> {
        let Signed { payload, mut chain } = signed;
        // `x5c` may end in the root or before it (RFC 7515, 4.1.6).
        if chain.last().is_some_and(|last| self.roots.contains(last)) {
            chain.pop();
        }
        let Some(leaf) = chain.first() else { return Err(EnvelopeError::NotASigner) };
        let requirements = Requirements {
            // A chain may demand that a policy be valid; which ones matter here is looked at below.
            explicit_policy: false,
            policies: Vec::new(),
            inhibit_mapping: true,
            inhibit_any_policy: false,
        };
        let crls = self.crls.as_ref().map(Crls::lists);
        let path = path::walk(&chain, &self.roots, &self.anchors, crls, &requirements, at)?;
        let root = &self.roots[path.anchor];
        check_root(root, chain.len(), at)?;
        // RFC 5280 counts the last second as valid; a running license needs an instant from which it is not.
        if let Some(position) = chain.iter().position(|certificate| certificate.expires_at <= at) {
            return Err(PathError::Validity { position }.into());
        }
        self.check_signer(leaf)?;
        self.check_policies(&chain, &path)?;
        Ok(Trusted { trust: self, payload, chain, root, path })
    }

    fn check_signer(&self, signer: &Certificate) -> Result<(), EnvelopeError> {
        if signer.is_authority || !signer.signs_documents {
            return Err(EnvelopeError::NotASigner);
        }
        let carried = signer.purposes.as_deref().unwrap_or_default();
        match self.purposes.iter().find(|purpose| !carried.contains(purpose)) {
            Some(&purpose) => Err(EnvelopeError::Purpose { purpose }),
            None => Ok(()),
        }
    }

    fn check_policies(&self, chain: &[Certificate], path: &ValidPath) -> Result<(), EnvelopeError> {
        for &policy in &self.policies {
            // The signer says so itself: anyPolicy is an authority's word.
            if !chain[0].policies.contains(&policy) {
                return Err(EnvelopeError::Policy { position: 0, policy });
            }
            if !is_valid_for(path, policy) {
                let silent = |certificate: &Certificate| {
                    ![policy, ANY_POLICY].iter().any(|known| certificate.policies.contains(known))
                };
                let position = chain.iter().position(silent).unwrap_or(chain.len() - 1);
                return Err(EnvelopeError::Policy { position, policy });
            }
        }
        Ok(())
    }
}

/// A root is trusted by configuration, yet only while it is valid, and for paths as short as it says.
fn check_root(root: &Certificate, below: usize, at: Timestamp) -> Result<(), PathError> {
    if at < root.starts_at || root.expires_at <= at {
        return Err(PathError::Validity { position: below });
    }
    let authorities = below - 1;
    match root.path_length {
        Some(most) if authorities > usize::from(most) => Err(PathError::Length),
        _ => Ok(()),
    }
}

fn is_valid_for(path: &ValidPath, policy: ObjectIdentifier) -> bool {
    path.policies().iter().any(|valid| [policy, ANY_POLICY].contains(valid))
}

impl Trusted<'_> {
    /// What the claims may only say if the path allows it.
    pub(crate) fn check_claims(&self, claims: &Claims) -> Result<(), EnvelopeError> {
        for (index, text) in claims.asserted_policies.iter().enumerate() {
            let misfit = |_| ClaimsError::Misfit { path: format!("assertedPolicies[{index}]") };
            let policy = ObjectIdentifier::new(text).map_err(misfit)?;
            if !is_valid_for(&self.path, policy) {
                return Err(EnvelopeError::Policy { position: 0, policy });
            }
        }
        self.check_partner(&claims.grant)?;
        let stapled = claims.revocation.iter().flat_map(|revocation| &revocation.crls);
        let mut lists = Vec::new();
        for (index, encoded) in stapled.enumerate().take(crate::crl::MAX_CRLS + 1) {
            let misfit = || ClaimsError::Misfit { path: format!("revocation.crls[{index}]") };
            let der = Base64::decode_vec(encoded).map_err(|_| misfit())?;
            lists.push(Crl::from_der(&der).map_err(|_| misfit())?);
            if lists.len() > crate::crl::MAX_CRLS {
                return Err(misfit().into());
            }
        }
        match path::revoked_by(&self.chain, self.root, &lists) {
            Some(position) => Err(PathError::Revoked { position }.into()),
            None => Ok(()),
        }
    }

    /// A partner signs for the products its path is valid for, and for no other.
    fn check_partner(&self, grant: &Grant) -> Result<(), EnvelopeError> {
        let Some(partners) = &self.trust.partners else { return Ok(()) };
        let is_partner = |certificate: &Certificate| {
            partners.markers.iter().any(|marker| certificate.policies.contains(marker))
        };
        if !self.chain.iter().skip(1).any(is_partner) {
            return Ok(());
        }
        let may_sign_for = |product: &str| {
            partners.products.get(product).is_some_and(|policy| {
                (partners.allowed.is_empty() || partners.allowed.contains(policy))
                    && self.path.policies().contains(policy)
            })
        };
        let foreign = |product: &str| EnvelopeError::ForeignProduct { product: product.to_owned() };
        for product in grant.products.keys() {
            if !may_sign_for(product) {
                return Err(foreign(product));
            }
        }
        for rule in &grant.commands.allow {
            let products = rule.products().ok_or_else(|| foreign(rule.as_str()))?;
            if products.iter().any(|product| !may_sign_for(product)) {
                return Err(foreign(rule.as_str()));
            }
        }
        Ok(())
    }

    pub(crate) fn authority(&self) -> Authority {
        if self.root.policies.contains(&oid::DEVELOPMENT_POLICY) {
            Authority::Development
        } else {
            Authority::Vendor
        }
    }

    pub(crate) fn signer_fingerprint(&self) -> String {
        self.chain[0].fingerprint()
    }

    pub(crate) fn chain_expires_at(&self) -> Timestamp {
        self.chain.iter().map(|certificate| certificate.expires_at).fold(self.root.expires_at, Timestamp::min)
    }

    pub(crate) const fn fresh_until(&self) -> Option<Timestamp> {
        self.path.fresh_until()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<String> = self.roots.iter().map(Certificate::fingerprint).collect();
        f.debug_struct("Trust")
            .field("roots", &roots)
            .field("purposes", &self.purposes)
            .field("policies", &self.policies)
            .field("partners", &self.partners)
            .field("lists", &self.crls.as_ref().map(|crls| crls.lists().len()))
            .finish_non_exhaustive()
    }
}
