//! Whether a tenant may act.

pub mod update;
