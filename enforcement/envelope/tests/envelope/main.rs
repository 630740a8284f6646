//! The envelope through its public doors: what opens, what does not, and where it stops.

#[cfg(feature = "authoring")]
mod authoring;
mod hostile;
mod open;
mod support;
