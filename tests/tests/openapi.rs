//! `/openapi.json` judged by a program that nobody here wrote: it makes requests of the schemas, good and bad, and compares
//! every answer with what the document says. No answer is a 500, none breaks its schema.

use std::process::Command;

use chancery_acceptance::{Quickstart, root, text};
use kit::Database;

/// Requests as this caller, or as nobody.
fn judge(quickstart: &Quickstart, bearer: Option<&str>) {
    let credentials = quickstart.credentials();
    let document = format!("{}/openapi.json", credentials["url"].as_str().expect("an address"));
    let mut judge = Command::new(root().join("target/foreign/venv/bin/schemathesis"));
    judge.arg("--config-file").arg(root().join("tests/schemathesis.toml"));
    judge.args(["run", &document, "--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1"]);
    judge.args(bearer.map(|token| format!("--header=Authorization: Bearer {token}")));
    let judged = judge.current_dir(quickstart.path(".")).output().expect("start the judge");
    let told = text(&judged.stdout);
    assert!(judged.status.success(), "{told}\n{}", text(&judged.stderr));
    let summary = told.split("SUMMARY").nth(1).expect("a summary");
    println!("{}: {summary}", if bearer.is_some() { "an operator" } else { "nobody" });
    assert!(!quickstart.logged().contains("panicked"), "{}", quickstart.logged());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_is_answered_is_what_the_document_says() {
    let quickstart = Quickstart::over(Database::sqlite());
    let token = quickstart.credentials()["token"].as_str().expect("a token").to_owned();
    judge(&quickstart, Some(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_is_answered_is_what_the_document_says() {
    judge(&Quickstart::over(Database::sqlite()), None);
}
