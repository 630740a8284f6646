//! Tenants beneath tenants.

pub mod create;
