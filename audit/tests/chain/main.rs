//! The chain that events are linked by.

mod common;
mod consumers;
mod export;
mod proof;
mod writers;
