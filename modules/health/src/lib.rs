//! The health module.
