//! The operators' commands: one file each, named by the verb.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod license;
