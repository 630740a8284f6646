//! The ways to a tenant.

pub mod availability;

mod matrix;

pub use matrix::{
    Availability, ConfigFacts, EmailAvailability, LicenseFacts, RouteAvailability, RuntimeFacts, availability,
};
