//! `chancery-issuer`, the vendor's tool. Results go to stdout, progress and errors to stderr.
//! Exit code 0: done; 1: failed; 2: wrong usage.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use commands::Command;
use jiff::Timestamp;

const LAYOUT: &str = "\
Files in the folder given by --dir, never overwritten:
  root.pem        the root's certificate; deployments trust it
  root.key.pem    its key, encrypted; only `ca signer` needs it, keep it elsewhere otherwise
  signer.pem      the signer's certificate
  signer.key.pem  its key, encrypted; `issue` needs it

Keys are encrypted under a passphrase, read from --passphrase-file or CHANCERY_ISSUER_PASSPHRASE.";

/// Make a licensing authority, mint licenses, look into and verify them.
#[derive(Parser)]
#[command(name = "chancery-issuer", version, after_help = LAYOUT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge: everything below takes the time as an argument"
    )]
    let now = Timestamp::now();
    match Cli::parse().command.run(now) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}
