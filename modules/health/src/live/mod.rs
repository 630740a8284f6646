//! Whether the process answers.

pub mod check;
