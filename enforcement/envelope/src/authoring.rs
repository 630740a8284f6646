//! The vendor's side: authorities, signers, license keys, sealing, revocation lists. Only with the feature `authoring`,
//! which a server does not enable.
//!
//! ```text
//! Root ─┬─ Intermediate ─┬─ Partner ── Signer
//!       │                └─ Signer
//!       ├─ Partner ── Signer
//!       └─ Signer
//! ```
//!
//! | certificate | path length | certificate policies (RFC 5280, 4.2.1.4; never critical) |
//! |---|---|---|
//! | [`Root`] | 2 | none: a root is trusted for all |
//! | [`Intermediate`] | 1 | [`LICENSE_SIGNING_POLICY`], anyPolicy |
//! | [`Partner`] | 0 | [`LICENSE_SIGNING_POLICY`], [`PARTNER_CA_POLICY`], and the policy of each product it may sign for |
//! | [`Signer`] | | [`LICENSE_SIGNING_POLICY`], and beneath a partner the same products |
//!
//! The policies for which a path is valid are those that its signer asserts and every authority above it allows, anyPolicy
//! allowing all. So an intermediate need not know the products there will be, and a partner cannot make a signer for
//! more than its own: whatever that signer asserts, the partner's certificate does not.
//!
//! Private keys are stored as PKCS#8 or PKCS#12, encrypted with AES-256-CBC under a passphrase from which PBKDF2 with
//! HMAC-SHA256 derives the key in [`KDF_ROUNDS`] rounds.
//!
//! [`LICENSE_SIGNING_POLICY`]: crate::oid::LICENSE_SIGNING_POLICY
//! [`PARTNER_CA_POLICY`]: crate::oid::PARTNER_CA_POLICY

mod authority;
mod certified;
mod document;
mod issuer;
mod license_key;
mod moved;
mod revocation;
mod signer;
mod storage;
mod summary;

pub use authority::{Curve, Intermediate, Partner, Root};
pub use certified::{Certified, Kind};
pub use document::{Document, DocumentError, KeyOutline};
pub use issuer::Issuer;
pub use license_key::LicenseKey;
pub use moved::Moved;
pub use revocation::{Reason, Revoked, Serial};
pub use signer::Signer;
pub use storage::KDF_ROUNDS;
pub use summary::{CertificateSummary, CrlSummary, RevokedSummary, Role, certificates, crls};

pub use crate::{jose::SignatureAlgorithm, mint::AuthoringError};
