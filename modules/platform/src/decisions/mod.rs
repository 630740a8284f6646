//! Why a command may run, or may not.

pub mod explain;
