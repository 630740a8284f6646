//! server: config.
