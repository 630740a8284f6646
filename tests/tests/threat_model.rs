//! The threat model names the tests that hold it, and they are there.

use std::fs;

use chancery_acceptance::root;

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = quoted.filter_map(|quoted| quoted.split_once(".rs::")).collect();
    assert!(named.len() > 40, "{} tests are named", named.len());
    for (file, test) in named {
        let path = root().join(format!("{file}.rs"));
        let code = fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{file}.rs`: {error}"));
        let is_there = code.contains(&format!("fn {test}("));
        assert!(is_there, "there is no test `{test}` in `{file}.rs`");
    }
}

#[test]
fn every_threat_has_a_test() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let mut threats = 0;
    let mut of_threats = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            of_threats = false;
        } else if line.starts_with("| threat |") {
            of_threats = true;
        } else if of_threats && !line.starts_with("|---") {
            threats += 1;
            assert!(line.contains(".rs::"), "nothing shows that this is held: {line}");
        }
    }
    assert!(threats > 30, "{threats} threats");
}
