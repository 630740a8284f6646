//! Registrations and what became of them.

pub mod reconcile;
pub mod show;
