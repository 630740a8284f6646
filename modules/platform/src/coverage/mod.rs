//! Which commands are covered by licensing.

pub mod report;
