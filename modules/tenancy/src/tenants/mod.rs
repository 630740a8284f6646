//! Tenants.

pub mod create;
pub mod export;
pub mod get;
pub mod list;
