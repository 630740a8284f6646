//! `chancery-issuer`, the vendor's tool. Results go to stdout, progress and errors to stderr.
//! Exit code 0: done; 1: failed; 2: wrong usage.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use commands::Command;
use jiff::Timestamp;

const LAYOUT: &str = "\
Files in the folder given by --dir; none is overwritten but the lists:
  authorities/root.pem       the root's certificate; deployments trust it
  authorities/root.key.pem   its key, encrypted; keep it elsewhere when an intermediate is made
  authorities/NAME.pem, .key.pem, .crl.pem
                             an intermediate or a partner, its encrypted key, its last revocation list
  signers/NAME.pem, .key.pem a signer and its encrypted key; `issue` needs them
  keys/KID.jwk.json, .key.pem
                             a key for licenses in key format: public half, encrypted key
  issued.jsonl               the book of what was issued and revoked

Keys are encrypted under a passphrase, read from --passphrase-file or CHANCERY_ISSUER_PASSPHRASE.
Exit code 0: done; 1: failed, or what was looked at is not valid; 2: wrong usage.";

/// Make licensing authorities, mint licenses, look into them, verify and revoke them. All offline, by files.
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
