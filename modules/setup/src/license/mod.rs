//! The license that the vendor sent.

pub mod import;
pub mod preview;
