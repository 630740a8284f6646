//! What is held in the end.

pub mod effective;
