//! The report as JUnit XML, for what counts tests.

use std::{collections::BTreeMap, fmt::Write};

use super::{CommandCoverage, CoverageReport, Finding, Verdict};

/// One test case as it is written.
struct Case<'r> {
    name: &'r str,
    findings: Vec<&'r Finding>,
    skipped: Option<&'r str>,
}

impl CoverageReport {
    /// JUnit XML: a suite for each module with a test for each of its commands, and one for what is no command. A
    /// finding fails the test of what it is about; an allowlisted gap is skipped, with its reason.
    pub fn to_junit(&self) -> String {
        let mut suites = BTreeMap::<&str, Vec<Case<'_>>>::new();
        for command in &self.commands {
            suites.entry(&command.module).or_default().push(self.case(command));
        }
        let others = self.findings.iter().filter(|finding| !self.is_of_a_command(finding));
        for finding in others {
            let case = Case { name: &finding.subject, findings: vec![finding], skipped: None };
            suites.entry("(catalog and allowlist)").or_default().push(case);
        }
        let all = suites.values().flatten();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        text += &format!("<testsuites name=\"chancery coverage\" {}>\n", counts(all));
        for (name, cases) in &suites {
            text += &format!("  <testsuite name=\"{}\" {}>\n", escaped(name), counts(cases.iter()));
            for case in cases {
                text += &case.written(name);
            }
            text += "  </testsuite>\n";
        }
        text + "</testsuites>\n"
    }

    fn case<'r>(&'r self, command: &'r CommandCoverage) -> Case<'r> {
        Case {
            name: &command.id,
            findings: self.findings.iter().filter(|finding| finding.subject == command.id).collect(),
            skipped: match &command.verdict {
                Verdict::Allowlisted { reason } => Some(reason),
                Verdict::Covered | Verdict::Gap { .. } | Verdict::Defect { .. } => None,
            },
        }
    }

    fn is_of_a_command(&self, finding: &Finding) -> bool {
        self.commands.iter().any(|command| command.id == finding.subject)
    }
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case<'c>> + Clone) -> String {
    let failures = cases.clone().filter(|case| !case.findings.is_empty()).count();
    let skipped = cases.clone().filter(|case| case.is_skipped()).count();
    let tests = cases.count();
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"")
}

impl Case<'_> {
    fn is_skipped(&self) -> bool {
        self.findings.is_empty() && self.skipped.is_some()
    }

    fn written(&self, suite: &str) -> String {
        let head = format!("    <testcase name=\"{}\" classname=\"{}\"", escaped(self.name), escaped(suite));
        if let Some(first) = self.findings.first() {
            let lines: String =
                self.findings.iter().map(|it| format!("{}: {}\n", it.kind, escaped(&it.message))).collect();
            let (kind, message) = (first.kind, escaped(&first.message));
            return format!(
                "{head}>\n      <failure type=\"{kind}\" message=\"{message}\">{lines}</failure>\n    </testcase>\n"
            );
        }
        match self.skipped {
            Some(reason) => {
                format!("{head}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason))
            }
            None => format!("{head}/>\n"),
        }
    }
}

/// Text in XML 1.0: markup written out, and what no document may hold replaced.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, c| {
        match c {
            '&' => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\n' | '\r' | '\t' => {
                let _ = write!(text, "&#{};", u32::from(c));
            }
            '\0'..'\x20' | '\u{fffe}' | '\u{ffff}' => text.push(char::REPLACEMENT_CHARACTER),
            _ => text.push(c),
        }
        text
    })
}
