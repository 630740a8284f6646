//! Domains of tenants.

pub mod add;
pub mod list;
pub mod prefer;
pub mod remove;
pub mod verify;
