//! Tenants beneath tenants.

pub mod create;
pub mod list;
