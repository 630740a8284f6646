//! The operators' commands: one file each, named by the verb.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod coverage;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod license;
pub(crate) mod matrix;
pub(crate) mod quota;
