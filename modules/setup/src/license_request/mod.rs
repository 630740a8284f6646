//! What the vendor is asked for.

pub mod generate;
pub mod show;
