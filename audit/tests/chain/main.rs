//! The chain that events are linked by.

mod common;
mod consumers;
mod export;
mod interrupted;
mod proof;
mod tampering;
mod writers;
