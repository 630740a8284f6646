//! Who runs the platform.

pub mod create;
pub mod whoami;
