//! Who runs the platform and its tenants.

pub mod create;
pub mod disable;
pub mod enable;
pub mod list;
pub mod show;
pub mod update;
pub mod whoami;
