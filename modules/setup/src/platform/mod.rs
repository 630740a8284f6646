//! The platform itself, and who runs it.

pub mod bootstrap;
