//! The running license: where it comes from, what state it is in, and the snapshot that the rest of the program sees.
//!
//! **Invariant: a snapshot that grants holds a [`VerifiedLicense`](envelope::VerifiedLicense)**, which only `envelope`
//! can make. There is no other way to a ceiling.
//!
//! **Invariant: the first source that is present is the source** (semantics 3.6). A bad one is never skipped for a later
//! one.

mod projection;
mod running;
mod snapshot;
mod source;

pub use projection::{LicenseProjection, ProductSummary};
pub use running::RunningLicense;
pub use snapshot::{Held, Refusal, Snapshot, SourceKind, State};
pub use source::{RecipientKey, Sources, TrustSettings};
