//! The report for people.

use super::{CommandCoverage, CoverageReport, Verdict};
use crate::descriptor::{CostWeight, ProtectionMode};

impl CoverageReport {
    /// A line for each command, and one for each finding below them.
    pub fn to_table(&self) -> String {
        let head = ["COMMAND", "VERDICT", "MODE", "KEY", "FEATURES", "QUOTAS", "WHEN"];
        let rows: Vec<_> =
            std::iter::once(head.map(str::to_owned).to_vec()).chain(self.commands.iter().map(row)).collect();
        let mut text = columns(&rows);
        if !self.findings.is_empty() {
            let findings = self.findings.iter();
            let rows: Vec<_> = findings
                .map(|it| vec![it.kind.to_string(), it.subject.clone(), it.message.clone()])
                .collect();
            text += "\n";
            text += &columns(&rows);
        }
        text
    }
}

fn row(command: &CommandCoverage) -> Vec<String> {
    let verdict = match &command.verdict {
        Verdict::Covered => "covered".to_owned(),
        Verdict::Allowlisted { reason } => format!("allowlisted: {reason}"),
        Verdict::Gap { kind } => format!("GAP {kind}"),
        Verdict::Defect { kind } => format!("DEFECT {kind}"),
    };
    let cost = command.cost.unwrap_or(CostWeight::BASELINE).get();
    let quotas = command.quotas.iter().map(|quota| format!("{cost} of {quota}"));
    vec![
        command.id.clone(),
        verdict,
        command.mode.map_or("", ProtectionMode::as_str).to_owned(),
        command.key.clone().unwrap_or_default(),
        command.features.join(", "),
        quotas.collect::<Vec<_>>().join(", "),
        command.predicates.join(", "),
    ]
}

/// Cells in columns as wide as their widest, two apart.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths = Vec::<usize>::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
