//! `with-postgres COMMAND [ARGUMENT…]` runs a command with `DATABASE_URL` naming a private PostgreSQL cluster, removes
//! the cluster and exits with the command's code: one cluster for a whole test run.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};

use chancery_test_kit::Cluster;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-postgres COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let cluster = Cluster::start();
    match Command::new(&program).args(arguments).env("DATABASE_URL", cluster.url()).status() {
        Ok(status) => {
            let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("cannot run `{}`: {error}", program.display());
            ExitCode::from(127)
        }
    }
}
