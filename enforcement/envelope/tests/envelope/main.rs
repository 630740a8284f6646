//! The envelope through its public doors: what opens, what does not, and where it stops.

mod algorithms;
#[cfg(feature = "authoring")]
mod authoring;
mod hostile;
mod key_format;
mod open;
mod partners;
mod revocation;
mod support;
