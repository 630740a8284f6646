//! Books.

pub mod add;
