//! server: cli.
