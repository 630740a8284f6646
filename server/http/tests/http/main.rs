//! The adapter as clients meet it: real requests on a real socket, with a small module behind.

mod calls;
mod demo;
mod failures;
mod published;
mod server;
mod serving;
