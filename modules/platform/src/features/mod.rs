//! What may be switched on.

pub mod list;
