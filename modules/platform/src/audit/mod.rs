//! What happened.

pub mod query;
