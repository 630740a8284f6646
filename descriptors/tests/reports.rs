//! The coverage report in every format, read by programs that nobody here wrote.

use boon::{Compiler, Schemas};
use chancery_descriptors::{
    coverage::{CommandCoverage, CoverageReport, Finding, FindingKind, GapMode, Verdict},
    descriptor::{CostWeight, ProtectionMode},
};
use serde_json::Value;

const HOSTILE: &str = "<gap> & \"co\" 'é' \u{1} ]]> 💥\nsecond line";

fn command(id: &str, verdict: Verdict) -> CommandCoverage {
    let covered = verdict == Verdict::Covered;
    CommandCoverage {
        id: id.to_owned(),
        module: id.split('.').next().unwrap().to_owned(),
        contract: true,
        descriptor: covered,
        key: covered.then(|| format!("chancery.{id}")),
        mode: covered.then_some(ProtectionMode::Licensed),
        features: if covered { vec!["tenancy.subtenants.v1".to_owned()] } else { Vec::new() },
        cost: covered.then_some(CostWeight::new(5)),
        quotas: if covered { vec!["tenancy.exports.max".to_owned()] } else { Vec::new() },
        predicates: if covered { vec!["environment=production".to_owned()] } else { Vec::new() },
        verdict,
    }
}

fn finding(kind: FindingKind, subject: &str, message: &str) -> Finding {
    Finding { kind, subject: subject.to_owned(), message: message.to_owned() }
}

fn report(missing_descriptor_mode: GapMode) -> CoverageReport {
    let gap = FindingKind::MissingDescriptor;
    CoverageReport {
        missing_descriptor_mode,
        commands: vec![
            command("health.live.check", Verdict::Allowlisted { reason: HOSTILE.to_owned() }),
            command("tenancy.tenants.create", Verdict::Covered),
            command("tenancy.tenants.lose", Verdict::Gap { kind: gap }),
            command("tenancy.tenants.spoil", Verdict::Defect { kind: FindingKind::MalformedDescriptor }),
        ],
        findings: vec![
            finding(gap, "tenancy.tenants.lose", HOSTILE),
            finding(FindingKind::MalformedDescriptor, "tenancy.tenants.spoil", "an empty list"),
            finding(FindingKind::UnknownFeatureKey, "tenancy.tenants.create", "requires feature `a.v1`"),
            finding(FindingKind::UnknownQuotaKey, "tenancy.tenants.create", "counts against `b`"),
            finding(FindingKind::FeatureNeverRequired, "tenancy.federation.v1", "no command requires it"),
        ],
    }
}

fn sarif(report: &CoverageReport) -> Value {
    serde_json::from_str(&report.to_sarif("1.2.3")).unwrap()
}

fn problems(instance: &Value) -> Option<String> {
    const SCHEMA: &str = include_str!("sarif/schema.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("sarif.json", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let schema = compiler.compile("sarif.json", &mut schemas).unwrap();
    schemas.validate(instance, schema).err().map(|error| error.to_string())
}

#[test]
fn the_sarif_report_is_what_its_official_schema_asks() {
    for mode in [GapMode::Warn, GapMode::Deny] {
        assert_eq!(problems(&sarif(&report(mode))), None);
    }
    let nothing = CoverageReport { commands: Vec::new(), findings: Vec::new(), ..report(GapMode::Deny) };
    assert_eq!(problems(&sarif(&nothing)), None);
    let mut wrong = sarif(&nothing);
    wrong["runs"][0]["results"] = Value::from("none");
    assert!(problems(&wrong).is_some(), "the schema refuses what is wrong");
}

#[test]
fn the_sarif_report_names_every_finding_and_what_it_is_about() {
    let sarif = sarif(&report(GapMode::Deny));
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
            let texts = [&result["ruleId"], &result["level"], place].map(|text| text.as_str().unwrap());
            texts.join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "MISSING_DESCRIPTOR error tenancy.tenants.lose",
            "MALFORMED_DESCRIPTOR error tenancy.tenants.spoil",
            "UNKNOWN_FEATURE_KEY error tenancy.tenants.create",
            "UNKNOWN_QUOTA_KEY error tenancy.tenants.create",
            "FEATURE_NEVER_REQUIRED warning tenancy.federation.v1",
            "MISSING_DESCRIPTOR note health.live.check",
        ]
    );
    assert_eq!(results[0]["message"]["text"], HOSTILE);
    assert_eq!(results[5]["suppressions"][0]["justification"], HOSTILE);
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), FindingKind::ALL.len());
}

#[test]
fn a_gap_that_is_only_warned_of_is_a_warning() {
    assert_eq!(sarif(&report(GapMode::Warn))["runs"][0]["results"][0]["level"], "warning");
    assert_eq!(sarif(&report(GapMode::Warn))["runs"][0]["results"][1]["level"], "error");
}

#[test]
fn the_junit_report_loads_elsewhere_with_a_test_for_each_command() {
    let text = report(GapMode::Deny).to_junit();
    let read = junit_parser::from_reader(text.as_bytes()).unwrap();
    assert_eq!((read.tests, read.failures, read.errors, read.skipped), (5, 4, 0, 1));
    let suites: Vec<_> = read.suites.iter().map(|suite| (suite.name.as_str(), suite.cases.len())).collect();
    assert_eq!(suites, [("(catalog and allowlist)", 1), ("health", 1), ("tenancy", 3)]);
    let tenancy = &read.suites[2];
    let failed: Vec<_> = tenancy
        .cases
        .iter()
        .map(|case| (case.original_name.as_str(), case.status.is_failure(), case.status.is_success()))
        .collect();
    assert_eq!(
        failed,
        [
            ("tenancy.tenants.create", true, false),
            ("tenancy.tenants.lose", true, false),
            ("tenancy.tenants.spoil", true, false),
        ]
    );
    let create = tenancy.cases[0].status.failure_as_ref();
    assert_eq!(create.failure_type, "UNKNOWN_FEATURE_KEY");
    assert_eq!(
        create.text,
        "UNKNOWN_FEATURE_KEY: requires feature `a.v1`\nUNKNOWN_QUOTA_KEY: counts against `b`"
    );
}

#[test]
fn the_junit_report_keeps_texts_but_for_what_xml_cannot_hold() {
    let text = report(GapMode::Deny).to_junit();
    let read = junit_parser::from_reader(text.as_bytes()).unwrap();
    let lose = read.suites[2].cases[1].status.failure_as_ref();
    assert_eq!(lose.message, HOSTILE.replace('\u{1}', "\u{fffd}"));
    assert_eq!(read.suites[1].cases[0].status.skipped_as_ref().message, HOSTILE.replace('\u{1}', "\u{fffd}"));
}

#[test]
fn the_json_report_is_the_report() {
    let report = report(GapMode::Warn);
    assert_eq!(serde_json::from_str::<CoverageReport>(&report.to_json()).unwrap(), report);
}

#[test]
fn people_read_what_a_command_asks_and_where_it_stands() {
    let mut report = report(GapMode::Warn);
    report.commands[0] = command("health.live.check", Verdict::Allowlisted { reason: "liveness".to_owned() });
    report.findings.truncate(3);
    report.findings[0].message = "no descriptor".to_owned();
    assert_eq!(report.to_table(), include_str!("../../tests/golden/report.txt"));
}

#[test]
fn a_build_fails_by_kind_and_by_prefix() {
    let report = report(GapMode::Warn);
    let failing = |kinds: &[FindingKind], prefixes: &[&str]| -> Vec<String> {
        let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        report.failing(kinds, &prefixes).map(|finding| finding.subject.clone()).collect()
    };
    let (gap, unknown) = (FindingKind::MissingDescriptor, FindingKind::UnknownFeatureKey);
    assert_eq!(failing(&[gap, unknown], &[]), ["tenancy.tenants.lose", "tenancy.tenants.create"]);
    assert_eq!(failing(&[gap, unknown], &["tenancy.tenants.c", "health."]), ["tenancy.tenants.create"]);
    assert!(failing(&[gap], &["health."]).is_empty());
    assert!(failing(&[FindingKind::StaleAllowlistEntry], &[]).is_empty());
}
