//! One's own password.

pub mod change;
