//! Which commands of this product are covered by licensing. The list of those that are not may only shrink.

use std::collections::BTreeSet;

use chancery_acceptance::{chancery, text};
use serde_json::Value;

/// Commands without a license descriptor. Nobody adds to this list to make a test pass: describe the command instead.
const UNCOVERED: [&str; 2] = [
    "health.live.check", // liveness must answer without a license; operators allowlist it
    "identity.operators.whoami", // a gap, to be closed
];

/// Features that editions hold and no command requires yet. Nobody adds to this list either: a feature is sold when a
/// command asks for it.
const PROMISED: [&str; 2] = ["tenancy.federation.v1", "tenancy.self-signup.v1"];

/// Commands that have a descriptor and yet ask for no license. The license's own face, and what signs people in, must answer
/// without one; nobody adds a command of another module to make a test pass.
const EXEMPT: &str = include_str!("../golden/exempt.txt");

fn report() -> Value {
    let output = chancery(["coverage", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_command_is_described_but_those_on_the_list() {
    let report = report();
    let uncovered: BTreeSet<_> = report["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|command| command["verdict"] != "covered")
        .map(|command| command["id"].as_str().unwrap())
        .collect();
    let listed = BTreeSet::from(UNCOVERED);
    let forgotten: Vec<_> = uncovered.difference(&listed).collect();
    assert!(
        forgotten.is_empty(),
        "without a license descriptor: {forgotten:?}; write `#[license(…)]` on each"
    );
    let closed: Vec<_> = listed.difference(&uncovered).collect();
    assert!(closed.is_empty(), "covered now: {closed:?}; take them off the list");
}

#[test]
fn every_command_has_its_verdict_and_what_it_asks() {
    let report = report();
    let commands = report["commands"].as_array().unwrap();
    assert!(commands.iter().all(|command| command["verdict"].is_string() && command["contract"] == true));
    let export = commands.iter().find(|command| command["id"] == "tenancy.tenants.export").unwrap();
    assert_eq!(export["key"], "chancery.tenancy.tenants.export");
    assert_eq!(export["quotas"][0], "tenancy.exports.max");
    assert_eq!(export["mode"], "LICENSED");
}

fn subjects<'r>(report: &'r Value, kind: &str) -> BTreeSet<&'r str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|it| it["kind"] == kind).map(|it| it["subject"].as_str().unwrap()).collect()
}

#[test]
fn what_is_sold_is_required_by_a_command() {
    let report = report();
    let idle = subjects(&report, "FEATURE_NEVER_REQUIRED");
    let listed = BTreeSet::from(PROMISED);
    let sold: Vec<_> = idle.difference(&listed).collect();
    assert!(sold.is_empty(), "sold, and enforced nowhere: {sold:?}; require each where it is used");
    let kept: Vec<_> = listed.difference(&idle).collect();
    assert!(kept.is_empty(), "required now, or listed no more: {kept:?}; take them off the list");
}

#[test]
fn what_a_command_requires_is_sold() {
    let report = report();
    for kind in ["UNKNOWN_FEATURE_KEY", "UNKNOWN_QUOTA_KEY", "MISSING_CARDINALITY_PROVIDER"] {
        let asking = subjects(&report, kind);
        assert!(asking.is_empty(), "{kind}: always denied: {asking:?}");
    }
}

#[test]
fn no_two_commands_claim_one_key_and_no_descriptor_is_malformed() {
    let report = report();
    for kind in ["DUPLICATE_ENTITLEMENT_KEY", "MALFORMED_DESCRIPTOR", "STALE_ALLOWLIST_ENTRY"] {
        assert_eq!(subjects(&report, kind), BTreeSet::new(), "{kind}");
    }
}

#[test]
fn a_gap_can_fail_a_build() {
    let output = chancery(["coverage", "--fail-on", "MISSING_DESCRIPTOR,UNKNOWN_FEATURE_KEY"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("identity.operators.whoami"));
    assert!(chancery(["coverage", "--fail-on", "UNKNOWN_FEATURE_KEY"]).status.success());
}

#[test]
fn people_get_a_table_that_names_the_gap() {
    let table = text(&chancery(["coverage"]).stdout);
    assert!(table.contains("GAP MISSING_DESCRIPTOR"), "{table}");
}

#[test]
fn what_asks_for_no_license_is_on_the_list() {
    let report = report();
    let exempt: BTreeSet<_> = report["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|command| command["mode"].is_string() && command["mode"] != "LICENSED")
        .map(|command| format!("{} {}", command["id"].as_str().unwrap(), command["mode"].as_str().unwrap()))
        .collect();
    let listed: BTreeSet<_> = EXEMPT.lines().map(str::to_owned).collect();
    let added: Vec<_> = exempt.difference(&listed).collect();
    assert!(added.is_empty(), "these ask for no license: {added:?}; license them");
    let gone: Vec<_> = listed.difference(&exempt).collect();
    assert!(gone.is_empty(), "licensed now, or gone: {gone:?}; take them off tests/golden/exempt.txt");
}
