use std::collections::BTreeMap;

use const_oid::ObjectIdentifier;

use super::certified::{Certified, Kind, sealed::Sealed};
use crate::{
    certificate::Certificate,
    claims::Claims,
    mint::AuthoringError,
    oid::{LICENSE_SIGNING_EKU, LICENSE_SIGNING_POLICY},
    recipient::RecipientPublic,
};

/// A certificate that signs licenses, with [`LICENSE_SIGNING_EKU`]. Its key is on P-256 or P-384, of RSA or Ed25519.
pub type Signer = Certified<SignerKind>;

/// The kind of [`Signer`].
#[derive(Debug)]
pub enum SignerKind {}

impl Sealed for SignerKind {}

impl Kind for SignerKind {
    const NAME: &'static str = "a license signer";

    fn is(certificate: &Certificate) -> bool {
        let purposes = certificate.purposes.as_deref().unwrap_or_default();
        !certificate.is_authority
            && certificate.signs_documents
            && purposes.contains(&LICENSE_SIGNING_EKU)
            && certificate.policies.contains(&LICENSE_SIGNING_POLICY)
    }
}

impl Signer {
    /// Signs claims and seals them to a deployment's key. What would not open there is refused: claims that do not fit,
    /// that would count for longer than the chain is valid, or that the chain may not sign. A partner's signer seals no
    /// product this way; see [`seal_products`](Self::seal_products).
    pub fn seal(&self, claims: &Claims, recipient: &RecipientPublic) -> Result<String, AuthoringError> {
        self.seal_products(claims, recipient, &BTreeMap::new())
    }

    /// The same, knowing the policy of each product as the catalog states it. A product that is not among them is for no
    /// partner.
    pub fn seal_products(
        &self,
        claims: &Claims,
        recipient: &RecipientPublic,
        products: &BTreeMap<String, ObjectIdentifier>,
    ) -> Result<String, AuthoringError> {
        self.holder.seal(claims, recipient, products)
    }
}
