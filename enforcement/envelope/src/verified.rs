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
    if trusted.authority == Authority::Development {
        development::check_span(&claims)?;
    }
    Ok(VerifiedLicense {
        claims,
        signer_fingerprint: trusted.signer_fingerprint,
        chain_expires_at: trusted.chain_expires_at,
        authority: trusted.authority,
    })
}

/// A license that [`open`] has verified. There is no other way to one.
pub struct VerifiedLicense {
    claims: Claims,
    signer_fingerprint: String,
    chain_expires_at: Timestamp,
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

    /// SHA-256 of the signer's certificate (DER), in lower-case hex.
    pub fn signer_fingerprint(&self) -> &str {
        &self.signer_fingerprint
    }

    /// When the first certificate of the path expires, the root included. From then on the license does not open.
    pub const fn chain_expires_at(&self) -> Timestamp {
        self.chain_expires_at
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
