//! The running license through its public door: real files, real databases, a moving clock.

mod install;
mod keeping;
mod reading;
mod runtime;
mod statuses;
mod support;
mod swapping;
mod warnings;
