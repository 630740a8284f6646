//! Tokens by which scripts call as the operator who made them.

pub mod create;
pub mod list;
pub mod revoke;
