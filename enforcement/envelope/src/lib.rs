//! From bytes to a verified license: JWE, JWS, X.509 path, policies, claims. Pure: time is an argument.
//!
//! ```
//! # use chancery_envelope as envelope;
//! # use envelope::{Claims, Recipient, Trust, development::DevelopmentAuthority};
//! # use jiff::{SignedDuration, Timestamp};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now: Timestamp = "2026-01-01T00:00:00Z".parse()?;
//! # let recipient = Recipient::generate("site-1")?;
//! # let authority = DevelopmentAuthority::create(now, SignedDuration::from_hours(24 * 31))?;
//! # let bundle = authority.root_pem().to_owned();
//! # let party = serde_json::json!({"id": "acme", "name": "Acme"});
//! # let claims: Claims = serde_json::from_value(serde_json::json!({
//! #     "schema": "urn:chancery:license:1", "licenseId": "L-1", "issuer": party, "licensee": party,
//! #     "installationOwner": party, "issuedAt": now, "notBefore": now, "expiresAt": "2026-01-15T00:00:00Z",
//! #     "graceDays": 0, "binding": {},
//! #     "grant": {"products": {}, "features": {}, "quotas": {}, "commands": {"allow": [], "deny": []}},
//! # }))?;
//! # let token = authority.issue(&claims, &recipient.public())?;
//! let trust = Trust::from_pem(&bundle)?;
//! let license = envelope::open(&token, &recipient, &trust, now)?;
//! println!("{} signed by {}", license.claims().license_id, license.signer_fingerprint());
//! # Ok(())
//! # }
//! ```
//!
//! [`open`] is a column of steps, each of which takes only what the step before it yields, so that nothing is parsed
//! as claims before it is trusted (semantics 3.3):
//!
//! | step | accepts |
//! |---|---|
//! | bounds | a token of at most [`MAX_TOKEN_BYTES`], at most [`MAX_CERTIFICATES`] of at most [`MAX_CERTIFICATE_BYTES`] each, RSA moduli of [`jose::RSA_MODULUS_BITS`], at most [`path::MAX_SIGNATURE_CHECKS`] |
//! | JWE | `ECDH-ES+A256KW` on P-256 or X25519, `RSA-OAEP-256`; `A256GCM`; to this recipient (RFC 7516, RFC 7518, RFC 8037) |
//! | JWS | `ES256`, `ES384`, `PS256` or `EdDSA` by the first certificate of `x5c` (RFC 7515) |
//! | path | `x5c` in order to a configured root, at the given time (RFC 5280, section 6) |
//! | policy | the signer's extended key usage; required policies through the whole path |
//! | revocation | a current list by the issuer of every certificate, where a bundle of lists is configured |
//! | claims | a known schema version; a partner's own products; stapled lists; unknown claims are kept |
//!
//! The other format is a license in key format, [`open_key`]: a signature by a key the vendor's build pins, and claims.
//!
//! A deployment asks for a license with a [`request`]; both travel as files, or as text to be pasted ([`armor`]).
//!
//! **Invariants.** A [`VerifiedLicense`] comes from [`open`] and nowhere else. The system trust store is never
//! consulted. Keys, tokens, chains and claims neither print nor appear in errors. This crate alone knows josekit,
//! OpenSSL and X.509.
//!
//! Validity in time and binding are not judged here: an expired license still opens, because its grace is in its
//! claims. That is the running license's task.

pub mod armor;
mod certificate;
pub mod claims;
mod crl;
pub mod development;
mod error;
mod header;
pub mod jose;
mod json;
mod jwe;
mod jws;
mod key;
mod mint;
pub mod oid;
pub mod path;
mod pinned;
mod recipient;
pub mod request;
mod signing;
mod state;
mod trust;
mod verified;

#[cfg(feature = "authoring")]
pub mod authoring;

pub use certificate::{CertificateError, MAX_CERTIFICATE_BYTES};
pub use claims::{Claims, ClaimsError};
pub use crl::{CrlBundleError, CrlError, Crls, MAX_CRLS};
pub use error::{EnvelopeError, Layer, Stage, excerpt};
pub use jwe::{MAX_TOKEN_BYTES, Outline, outline};
pub use jws::MAX_CERTIFICATES;
pub use mint::AuthoringError;
pub use pinned::{PinnedKeyError, PinnedKeys, open_key};
pub use recipient::{LicenseRequest, Recipient, RecipientError, RecipientPublic};
pub use state::StateKey;
pub use trust::{MAX_ROOTS, Partners, Trust, TrustError};
pub use verified::{Authority, VerifiedLicense, open};
