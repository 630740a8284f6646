//! What a command asks, what is sold, what is held, and why not: pure data, no async, no I/O.
//!
//! | module | answers |
//! |---|---|
//! | [`descriptor`] | what does a command ask of the license? |
//! | [`access`] | who may run it? |
//! | [`route`] | where is it mounted over HTTP? |
//! | [`catalog`] | what is sold? Listing is not granting |
//! | [`grant`] | what is held? |
//! | [`denial`] | why not? |
//! | [`coverage`] | what is missing? |
//!
//! **Invariant: nothing here that grants implements `Default`.** An empty grant is written out, so that a
//! reader sees where it stands.
//!
//! Everything a command states is `const`: keys, builders and predicates are checked while the author's crate
//! compiles, by the same `parse` functions that read text at run time.

pub mod access;
pub mod catalog;
pub mod coverage;
pub mod denial;
pub mod descriptor;
pub mod grant;
pub mod route;
