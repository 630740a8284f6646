//! One's own second factor: codes by time (RFC 6238), and recovery codes for when the app is gone.

pub mod confirm;
pub mod enroll;
pub mod remove;
