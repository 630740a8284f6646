//! The license this deployment runs under.

pub mod status;
