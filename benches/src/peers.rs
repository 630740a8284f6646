//! Which machine, which day, and which versions of what stands beside us.

#[expect(dead_code, reason = "nothing is timed here")]
#[path = "../machine.rs"]
mod machine;

use std::process::Command;

/// The crates that are peers, or what ours stands on where a peer does without.
const CRATES: [&str; 8] =
    ["axum", "casbin", "cedar-policy", "governor", "jsonwebtoken", "josekit", "limitador", "regorus"];

/// Programs of others that take part.
const PROGRAMS: [(&str, &str); 4] =
    [("openssl", "version"), ("pgbench", "--version"), ("redis-server", "--version"), ("wrk", "--version")];

/// All of it, as lines of a page.
pub(crate) fn versions() -> String {
    let crates: Vec<String> = CRATES.iter().map(|name| format!("{name} {}", locked(name))).collect();
    let programs: Vec<String> = PROGRAMS.iter().filter_map(|(name, asked)| first_line(name, asked)).collect();
    format!("{}\n\nBeside: {}; {}.\n", machine::introduction(), crates.join(", "), programs.join("; "))
}

/// The version in the lock file.
fn locked(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let found = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""));
    found.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("?")
}

fn first_line(name: &str, asked: &str) -> Option<String> {
    let output = Command::new(name).arg(asked).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.trim().to_owned();
    Some(line.split(" [").next().unwrap_or_default().split(" malloc").next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_in_the_lock_file() {
        for name in CRATES {
            assert!(locked(name).starts_with(|first: char| first.is_ascii_digit()), "{name}");
        }
    }
}
