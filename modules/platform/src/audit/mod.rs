//! What happened, and whether it is still what was recorded.

pub mod export;
pub mod query;
pub mod tail;
pub mod verify;
