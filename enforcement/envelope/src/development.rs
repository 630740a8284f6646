//! A license authority for trying things out: made in memory, good for one license of at most 31 days, then gone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    claims::{Claims, ClaimsError},
    mint::{AuthoringError, Content, Holder},
    oid,
    recipient::{RecipientPublic, new_key},
};

/// The longest a development license may count, grace included (semantics 3.6). [`open`](crate::open) holds to it too.
pub const MAX_DAYS: i64 = 31;

/// A root that asserts [`oid::DEVELOPMENT_POLICY`], and its one signer. Keys are never
/// written: the root's is gone once the signer is made, the signer's once it has issued.
pub struct DevelopmentAuthority {
    root_pem: String,
    signer: Holder,
}

impl DevelopmentAuthority {
    /// Makes an authority that is valid from `at` on.
    pub fn create(at: Timestamp, valid_for: SignedDuration) -> Result<Self, AuthoringError> {
        let validity = at..at.checked_add(valid_for).unwrap_or(Timestamp::MAX);
        let content = Content::Authority { path_length: 0, policies: &[oid::DEVELOPMENT_POLICY] };
        let root = Holder::self_signed("Chancery development root", new_key()?, &validity, content)?;
        let content = Content::Signer { policies: &[oid::LICENSE_SIGNING_POLICY] };
        let signer = root.certify("Chancery development signer", new_key()?, &validity, content)?;
        let root_pem = crate::mint::pem([&root.certificate])?;
        Ok(Self { root_pem, signer })
    }

    /// The root's certificate, to be trusted by the deployment that is tried out.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Issues the one license of this authority.
    pub fn issue(self, claims: &Claims, recipient: &RecipientPublic) -> Result<String, AuthoringError> {
        check_span(claims)?;
        self.signer.seal(claims, recipient, &BTreeMap::new())
    }
}

pub(crate) fn check_span(claims: &Claims) -> Result<(), ClaimsError> {
    let span = claims.grace_ends_at().duration_since(claims.not_before.min(claims.issued_at));
    if span > SignedDuration::from_hours(24 * MAX_DAYS) {
        return Err(ClaimsError::DevelopmentTooLong { limit_days: MAX_DAYS });
    }
    Ok(())
}
