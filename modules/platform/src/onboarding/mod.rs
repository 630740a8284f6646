//! The ways to a tenant.

pub mod availability;
