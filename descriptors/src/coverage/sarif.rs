//! The report as SARIF 2.1.0, for what shows findings beside code.

use serde::Serialize;

use super::{CoverageReport, Finding, FindingKind, GapMode, Verdict};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log<'r> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'r>; 1],
}

#[derive(Serialize)]
struct Run<'r> {
    tool: Tool<'r>,
    results: Vec<Outcome<'r>>,
}

#[derive(Serialize)]
struct Tool<'r> {
    driver: Driver<'r>,
}

#[derive(Serialize)]
struct Driver<'r> {
    name: &'static str,
    version: &'r str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: FindingKind,
    short_description: Text<'static>,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text<'r> {
    text: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'r> {
    rule_id: FindingKind,
    level: &'static str,
    message: Text<'r>,
    locations: [Location<'r>; 1],
    partial_fingerprints: Fingerprint,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<[Suppression<'r>; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'r> {
    logical_locations: [LogicalLocation<'r>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'r> {
    fully_qualified_name: &'r str,
}

/// By which a finding is known again in the next report.
#[derive(Serialize)]
struct Fingerprint {
    #[serde(rename = "chanceryFinding/v1")]
    finding: String,
}

#[derive(Serialize)]
struct Suppression<'r> {
    kind: &'static str,
    justification: &'r str,
}

impl CoverageReport {
    /// SARIF 2.1.0 (OASIS), written by the program of this version. A finding stands at the command, key or entry it is
    /// about; an allowlisted gap is a suppressed one, justified by its reason. No source path is named.
    pub fn to_sarif(&self, version: &str) -> String {
        let found = self.findings.iter().map(|finding| self.outcome(finding));
        let meant = self.commands.iter().filter_map(|command| match &command.verdict {
            Verdict::Allowlisted { reason } => {
                let kind = if command.contract {
                    FindingKind::MissingDescriptor
                } else {
                    FindingKind::MissingContract
                };
                let suppression = Suppression { kind: "external", justification: reason };
                Some(Outcome {
                    suppressions: Some([suppression]),
                    ..outcome(kind, "note", kind.summary(), &command.id)
                })
            }
            Verdict::Covered | Verdict::Gap { .. } | Verdict::Defect { .. } => None,
        });
        let rule = |id: FindingKind| Rule {
            id,
            short_description: Text { text: id.summary() },
            default_configuration: Configuration { level: self.level(id) },
        };
        let rules = FindingKind::ALL.into_iter().map(rule).collect();
        let log = Log {
            schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            version: "2.1.0",
            runs: [Run {
                tool: Tool { driver: Driver { name: "chancery coverage", version, rules } },
                results: found.chain(meant).collect(),
            }],
        };
        serde_json::to_string_pretty(&log).expect("texts and lists are JSON")
    }

    fn outcome<'r>(&self, finding: &'r Finding) -> Outcome<'r> {
        outcome(finding.kind, self.level(finding.kind), &finding.message, &finding.subject)
    }

    /// A gap that is only warned of is a warning; so is what can be no hole.
    fn level(&self, kind: FindingKind) -> &'static str {
        match kind {
            FindingKind::MissingContract | FindingKind::MissingDescriptor
                if self.missing_descriptor_mode == GapMode::Warn =>
            {
                "warning"
            }
            FindingKind::StaleAllowlistEntry | FindingKind::FeatureNeverRequired => "warning",
            _ => "error",
        }
    }
}

fn outcome<'r>(kind: FindingKind, level: &'static str, message: &'r str, subject: &'r str) -> Outcome<'r> {
    Outcome {
        rule_id: kind,
        level,
        message: Text { text: message },
        locations: [Location { logical_locations: [LogicalLocation { fully_qualified_name: subject }] }],
        partial_fingerprints: Fingerprint { finding: format!("{kind} {subject}") },
        suppressions: None,
    }
}
