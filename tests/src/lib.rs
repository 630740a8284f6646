//! Acceptance: the product through its public doors.
