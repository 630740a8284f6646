//! The chain that events are linked by.

mod common;
mod export;
mod proof;
mod writers;
