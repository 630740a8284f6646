//! The tenancy module.
