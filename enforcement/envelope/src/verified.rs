use std::fmt;

use jiff::Timestamp;

use crate::{
    claims::Claims, development, error::EnvelopeError, jwe::Sealed, jws::Signed, recipient::Recipient,
    trust::Trust,
};

/// Opens a sealed license and verifies everything about it but validity in time and binding.
///
/// Certificates must be valid `at` the given time, so a license does not outlive its signer's chain, even if it was
/// issued in time: an expired certificate is no longer covered by revocation, and `issuedAt` is the word of whoever holds
/// the key. In turn the vendor's side refuses to seal a license whose grace ends after its chain does, and
/// [`VerifiedLicense::chain_expires_at`] says when an open license must be opened again.
pub fn open(
    token: &str,
    recipient: &Recipient,
    trust: &Trust,
    at: Timestamp,
) -> Result<VerifiedLicense, EnvelopeError> {
    let decrypted = Sealed::parse(token)?.decrypt(recipient)?;
    let signed = Signed::verify(&decrypted)?;
    let trusted = trust.accept(signed, at)?;
    let claims = Claims::parse(&trusted.payload)?;
    trusted.check_claims(&claims)?;
    if trusted.authority() == Authority::Development {
        development::check_span(&claims)?;
    }
    Ok(VerifiedLicense {
        claims,
        signer_fingerprint: trusted.signer_fingerprint(),
        chain_expires_at: trusted.chain_expires_at(),
        fresh_until: trusted.fresh_until(),
        authority: trusted.authority(),
    })
}

/// A license that [`open`] or [`open_key`](crate::open_key) has verified. There is no other way to one.
pub struct VerifiedLicense {
    claims: Claims,
    signer_fingerprint: String,
    chain_expires_at: Timestamp,
    fresh_until: Option<Timestamp>,
    authority: Authority,
}

/// What kind of root vouches for a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// A vendor's licensing root.
    Vendor,
    /// A root that asserts [`oid::DEVELOPMENT_POLICY`](crate::oid::DEVELOPMENT_POLICY) (semantics 3.6).
    Development,
}

impl VerifiedLicense {
    /// What it says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// A license whose signature by a pinned key was right.
    pub(crate) const fn under_key(claims: Claims, signer_fingerprint: String) -> Self {
        Self {
            claims,
            signer_fingerprint,
            chain_expires_at: Timestamp::MAX,
            fresh_until: None,
            authority: Authority::Vendor,
        }
    }

    /// SHA-256 of the signer's certificate, or of the pinned key (DER), in lower-case hex.
    pub fn signer_fingerprint(&self) -> &str {
        &self.signer_fingerprint
    }

    /// When the first certificate of the path expires, the root included. From then on the license does not open.
    pub const fn chain_expires_at(&self) -> Timestamp {
        self.chain_expires_at
    }

    /// When the first of the revocation lists that were looked at is due to be replaced.
    pub const fn lists_fresh_until(&self) -> Option<Timestamp> {
        self.fresh_until
    }

    /// From when on it must be opened again to be believed: its chain expires, or a revocation list is due.
    pub fn reopen_at(&self) -> Timestamp {
        self.fresh_until.map_or(self.chain_expires_at, |due| due.min(self.chain_expires_at))
    }

    /// Who vouches for it.
    pub const fn authority(&self) -> Authority {
        self.authority
    }
}

impl fmt::Debug for VerifiedLicense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedLicense")
            .field("license_id", &self.claims.license_id)
            .field("signer_fingerprint", &self.signer_fingerprint)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}
