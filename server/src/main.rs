//! `chancery`: the server and the operators' tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    chancery_server::Program::standard().run()
}
