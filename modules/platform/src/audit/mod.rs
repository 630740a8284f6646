//! What happened, and whether it is still what was recorded.

pub mod query;
pub mod verify;
