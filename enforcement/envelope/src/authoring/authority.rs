use std::ops::Range;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use openssl::{
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
};

use super::{
    Revoked, Signer,
    certified::{Certified, Kind, sealed::Sealed},
    revocation,
};
use crate::{
    certificate::Certificate,
    key::SignatureAlgorithm,
    mint::{AuthoringError, Content},
    oid::{DEVELOPMENT_POLICY, LICENSE_SIGNING_POLICY, PARTNER_CA_POLICY},
    path::ANY_POLICY,
};

/// A vendor's licensing root: self-signed, path length 2.
pub type Root = Certified<RootKind>;

/// A vendor's authority beneath its root, path length 1. It lets the root's key stay in a safe.
pub type Intermediate = Certified<IntermediateKind>;

/// A partner's authority, path length 0: it makes signers, and they sign for its products only (semantics 3.4).
pub type Partner = Certified<PartnerKind>;

/// The kind of [`Root`].
#[derive(Debug)]
pub enum RootKind {}

/// The kind of [`Intermediate`].
#[derive(Debug)]
pub enum IntermediateKind {}

/// The kind of [`Partner`].
#[derive(Debug)]
pub enum PartnerKind {}

/// The curve of an authority's key (FIPS 186-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256. Signs with SHA-256.
    P256,
    /// P-384. Signs with SHA-384.
    P384,
}

impl Sealed for RootKind {}
impl Sealed for IntermediateKind {}
impl Sealed for PartnerKind {}

impl Kind for RootKind {
    const NAME: &'static str = "a root";

    fn is(certificate: &Certificate) -> bool {
        certificate.is_authority && certificate.is_self_signed()
    }
}

impl Kind for IntermediateKind {
    const NAME: &'static str = "an intermediate";

    fn is(certificate: &Certificate) -> bool {
        certificate.is_authority && !certificate.is_self_signed() && !is_partner(certificate)
    }
}

impl Kind for PartnerKind {
    const NAME: &'static str = "a partner's authority";

    fn is(certificate: &Certificate) -> bool {
        certificate.is_authority && !certificate.is_self_signed() && is_partner(certificate)
    }
}

impl Root {
    /// Makes a root and its key on P-256. Names have 1 to 64 characters.
    pub fn create(name: &str, validity: Range<Timestamp>) -> Result<Self, AuthoringError> {
        Self::create_on(Curve::P256, name, validity)
    }

    /// Makes a root and its key on this curve.
    pub fn create_on(curve: Curve, name: &str, validity: Range<Timestamp>) -> Result<Self, AuthoringError> {
        let content = Content::Authority { path_length: 2, policies: &[] };
        crate::mint::Holder::self_signed(name, curve.generate()?, &validity, content).map(Self::made)
    }

    /// Makes an intermediate beneath this root, which it may not outlive.
    pub fn intermediate(
        &self,
        curve: Curve,
        name: &str,
        validity: Range<Timestamp>,
    ) -> Result<Intermediate, AuthoringError> {
        let content = Content::Authority { path_length: 1, policies: &[LICENSE_SIGNING_POLICY, ANY_POLICY] };
        self.holder.certify(name, curve.generate()?, &validity, content).map(Certified::made)
    }

    /// Makes a partner's authority beneath this root, which it may not outlive.
    pub fn partner(
        &self,
        curve: Curve,
        name: &str,
        validity: Range<Timestamp>,
        products: &[ObjectIdentifier],
    ) -> Result<Partner, AuthoringError> {
        partner(self, curve, name, &validity, products)
    }
}

impl Intermediate {
    /// Makes a partner's authority beneath this one, which it may not outlive.
    pub fn partner(
        &self,
        curve: Curve,
        name: &str,
        validity: Range<Timestamp>,
        products: &[ObjectIdentifier],
    ) -> Result<Partner, AuthoringError> {
        partner(self, curve, name, &validity, products)
    }
}

/// What all three do. `Signer` is not among them: its certificate is no authority's.
macro_rules! authority {
    ($($kind:ident)*) => { $(
        impl Certified<$kind> {
            /// Makes a signer with a key on P-256 beneath this authority, which it may not outlive.
            pub fn signer(&self, name: &str, validity: Range<Timestamp>) -> Result<Signer, AuthoringError> {
                self.signer_with(SignatureAlgorithm::Es256, name, validity)
            }

            /// Makes a signer whose licenses are signed with this algorithm.
            pub fn signer_with(
                &self,
                algorithm: SignatureAlgorithm,
                name: &str,
                validity: Range<Timestamp>,
            ) -> Result<Signer, AuthoringError> {
                signer(self, algorithm, name, &validity)
            }

            /// The list of what this authority has revoked (RFC 5280, section 5), as PEM. `number` must be above that of
            /// every list before.
            pub fn crl(
                &self,
                revoked: &[Revoked],
                number: u64,
                this_update: Timestamp,
                next_update: Timestamp,
            ) -> Result<String, AuthoringError> {
                revocation::crl(&self.holder, revoked, number, this_update, next_update)
            }
        }
    )* };
}

authority! { RootKind IntermediateKind PartnerKind }

fn partner<K: Kind>(
    issuer: &Certified<K>,
    curve: Curve,
    name: &str,
    validity: &Range<Timestamp>,
    products: &[ObjectIdentifier],
) -> Result<Partner, AuthoringError> {
    // INVARIANT: a partner asserts no policy that stands for more than a product, and none twice (RFC 5280, 4.2.1.4).
    const RESERVED: [ObjectIdentifier; 4] =
        [ANY_POLICY, LICENSE_SIGNING_POLICY, PARTNER_CA_POLICY, DEVELOPMENT_POLICY];
    let mut policies = vec![LICENSE_SIGNING_POLICY, PARTNER_CA_POLICY];
    for &policy in products {
        if RESERVED.contains(&policy) {
            return Err(AuthoringError::ReservedPolicy { policy });
        }
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    let content = Content::Authority { path_length: 0, policies: &policies };
    issuer.holder.certify(name, curve.generate()?, validity, content).map(Certified::made)
}

/// A signer asserts what its path is to be valid for: of a partner, its products.
fn signer<K: Kind>(
    issuer: &Certified<K>,
    algorithm: SignatureAlgorithm,
    name: &str,
    validity: &Range<Timestamp>,
) -> Result<Signer, AuthoringError> {
    let authority = Certificate::from_native(&issuer.holder.certificate)?;
    let mut policies = vec![LICENSE_SIGNING_POLICY];
    if is_partner(&authority) {
        let own = [LICENSE_SIGNING_POLICY, PARTNER_CA_POLICY];
        policies.extend(authority.policies.iter().filter(|policy| !own.contains(policy)));
    }
    let content = Content::Signer { policies: &policies };
    issuer.holder.certify(name, generate(algorithm)?, validity, content).map(Certified::made)
}

fn is_partner(certificate: &Certificate) -> bool {
    certificate.policies.contains(&PARTNER_CA_POLICY)
}

impl Curve {
    fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        let curve = match self {
            Self::P256 => Nid::X9_62_PRIME256V1,
            Self::P384 => Nid::SECP384R1,
        };
        PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(curve)?)?)
    }
}

/// A key that signs with this algorithm. RSA has 3072 bits: as strong as P-256.
fn generate(algorithm: SignatureAlgorithm) -> Result<PKey<Private>, ErrorStack> {
    match algorithm {
        SignatureAlgorithm::Es256 => Curve::P256.generate(),
        SignatureAlgorithm::Es384 => Curve::P384.generate(),
        SignatureAlgorithm::Ps256 => PKey::from_rsa(Rsa::generate(3072)?),
        SignatureAlgorithm::EdDsa => PKey::generate_ed25519(),
    }
}
