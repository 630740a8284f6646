//! Loans, and reservations of what is lent.

pub mod lend;
pub mod reserve;
