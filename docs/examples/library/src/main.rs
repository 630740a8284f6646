//! A server with the library in it.

use std::process::ExitCode;

use library::Library;
use server::Program;

fn main() -> ExitCode {
    Program::standard().with::<Library>().run()
}
