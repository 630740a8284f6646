//! The application tenant: the platform itself, hidden from customers.

pub mod bootstrap;
