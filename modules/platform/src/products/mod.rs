//! What is sold.

pub mod list;
