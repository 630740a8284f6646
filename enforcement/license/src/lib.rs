//! The running license: where it comes from, what state it is in, and the snapshot that the rest of the program sees.
//!
//! | what | where |
//! |---|---|
//! | the sources in their order, and whether a license is meant for this deployment | [`Sources`] |
//! | what one look at them yields | [`reading`] |
//! | the states and the moves between them | [`state`] |
//! | the clock that must not go back | [`SafeClock`], [`Rollback`] |
//! | what survives the process | [`Memory`] |
//! | reload, installing, publishing | [`RunningLicense`] |
//! | what operators are warned of | [`Warning`], [`Notice`] |
//! | what one license says differently from another | [`Diff`] |
//! | what the vendor is asked for | [`RequestDesk`] |
//!
//! **Invariant: a snapshot that grants holds a [`VerifiedLicense`](envelope::VerifiedLicense)**, which only `envelope`
//! can make. There is no other way to a ceiling.
//!
//! **Invariant: the first source that is present is the source** (semantics 3.6). A bad one is never skipped for a later
//! one.
//!
//! **Invariant: only a source that cannot be read leads to recovery**, and only a clock that is safe leads to anything
//! usable. Both are types.

mod clock;
mod diff;
mod engine;
mod install;
mod memory;
mod opening;
mod projection;
pub mod reading;
mod request;
mod running;
mod snapshot;
mod source;
pub mod state;
mod warning;

pub use clock::{Rollback, SafeClock};
pub use diff::{Change, Diff, Effect, Subject};
pub use install::{InstallError, Installation, Preview, Replaced};
pub use memory::{MIGRATIONS, Memory, MemoryError};
pub use projection::{BlockedClock, LicenseProjection, ProductSummary};
pub use reading::{Refusal, SourceKind};
pub use request::{
    Contact, ContactRole, MadeRequest, RequestDesk, RequestState, RequestWish, RequestingError, Wanted,
};
pub use running::RunningLicense;
pub use snapshot::Snapshot;
pub use source::{RecipientKey, RuntimeSettings, Site, Sources, TrustSettings};
pub use state::{Held, State};
pub use warning::{Notice, Warning, WarningCode};
