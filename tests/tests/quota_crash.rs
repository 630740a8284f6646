//! Processes that charge quotas are killed at random instants. `quota-crash` says what must hold afterwards; more runs:
//! `cargo run --release -p chancery-acceptance --bin quota-crash -- 200 sqlite postgres`.

use std::process::Command;

fn survives(engine: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_quota-crash")).args(["10", engine]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("10 runs"), "{told}");
    assert!(!told.contains(": 0 successes"), "nothing was charged before the kills: {told}");
}

#[test]
fn the_laws_survive_kills_on_sqlite() {
    survives("sqlite");
}

#[test]
fn the_laws_survive_kills_on_postgres() {
    survives("postgres");
}
