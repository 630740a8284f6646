//! Whether there is anything to set up.

pub mod show;
