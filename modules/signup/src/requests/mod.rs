//! Requests for a tenant.

pub mod approve;
pub mod confirm;
pub mod list_pending;
pub mod reconcile_expired;
pub mod reject;
pub mod request;
pub mod resend;

pub use crate::registration::{Registration, SignupOutcome};
