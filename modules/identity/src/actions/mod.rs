//! One-time tokens: what they are for, and setting a password with one.

pub mod complete;
pub mod create;
pub mod resolve;
