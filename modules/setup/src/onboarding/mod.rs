//! How far whoever sets up has come, so that they can go on later, or elsewhere.

pub mod save;
pub mod show;
