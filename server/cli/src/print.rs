//! Answers for people. Machines get JSON of the same types.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use descriptors::{
    coverage::{CommandCoverage, CoverageReport, GapMode, Verdict},
    denial::Reason,
};
use license::LicenseProjection;
use pipeline::ExplanationView;
use serde::Serialize;

/// Prints a value as indented JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{text}")
}

/// Prints a text.
pub fn text(text: &str) -> io::Result<()> {
    write!(io::stdout(), "{text}")
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// The coverage report as two tables.
pub fn coverage(report: &CoverageReport) -> String {
    let mut commands = table(&["command", "verdict", "entitlement key", "features", "quotas", "cost"]);
    for command in &report.commands {
        commands.add_row([
            command.id.clone(),
            verdict(command),
            command.key.clone().unwrap_or_default(),
            command.features.join(", "),
            command.quotas.join(", "),
            command.cost.map(|cost| cost.get().to_string()).unwrap_or_default(),
        ]);
    }
    let gaps =
        report.commands.iter().filter(|command| matches!(command.verdict, Verdict::Gap { .. })).count();
    let mode = match report.missing_descriptor_mode {
        GapMode::Warn => "warn: gaps run and are reported",
        GapMode::Deny => "deny: gaps are refused",
    };
    let gaps = if gaps == 1 { "1 gap".to_owned() } else { format!("{gaps} gaps") };
    let mut text = format!("{commands}\n\n{} commands, {gaps}; mode {mode}\n", report.commands.len());
    if !report.findings.is_empty() {
        let mut findings = table(&["finding", "subject", "what"]);
        for finding in &report.findings {
            findings.add_row([finding.kind.to_string(), finding.subject.clone(), finding.message.clone()]);
        }
        text += &format!("\n{findings}\n");
    }
    text
}

fn verdict(command: &CommandCoverage) -> String {
    match &command.verdict {
        Verdict::Covered => match command.mode {
            Some(mode) => format!("covered ({})", mode.as_str()),
            None => "covered".to_owned(),
        },
        Verdict::Allowlisted { reason } => format!("allowlisted: {reason}"),
        Verdict::Gap { kind } => format!("GAP {kind}"),
        Verdict::Defect { kind } => format!("DEFECT {kind}"),
    }
}

/// The ladder of a decision, with the step that decided marked.
pub fn explanation(view: &ExplanationView) -> String {
    let answer = view.reason.map(Reason::as_str).or(view.exemption);
    let mut text = format!("{}: {}", view.command, view.verdict);
    if let Some(answer) = answer {
        text += &format!(" ({answer})");
    }
    text += &format!("\n  because {}\n", view.because);
    text += &format!("  license {}", view.license_status.as_str());
    if let Some(id) = &view.license_id {
        text += &format!(" `{id}`");
    }
    text += "\n\n";
    for step in &view.steps {
        let mark = if step.decided { "=>" } else { "  " };
        text += &format!("{mark} {:>2}  {:<44} {}\n", step.number, step.asks, step.found);
    }
    if !view.quotas.is_empty() {
        text += &format!("\nthen charged to: {}\n", view.quotas.join(", "));
    }
    if !view.remedies.is_empty() {
        text += "\nto allow it, any of:\n";
        for remedy in &view.remedies {
            text += &format!("  - {remedy}\n");
        }
    }
    text
}

/// The state of a license.
pub fn license(projection: &LicenseProjection) -> String {
    let mut rows = vec![("status", projection.status.as_str().to_owned())];
    let products = projection.product_summaries.iter().map(|summary| match &summary.modules {
        None => format!("{} {}", summary.product, summary.edition),
        Some(modules) => {
            let modules: Vec<_> = modules.iter().map(String::as_str).collect();
            format!("{} {} ({})", summary.product, summary.edition, modules.join(", "))
        }
    });
    let products = products.collect::<Vec<_>>().join("; ");
    let expiry = projection.expires_at.map(|end| match projection.days_to_expiry {
        Some(days) if days > 0 => format!("{end} (in {days} days)"),
        _ => format!("{end} (past)"),
    });
    let optional = [
        ("detail", projection.detail.clone()),
        ("license", projection.license_id.clone()),
        ("issuer", projection.issuer.clone()),
        ("customer", projection.customer_id.clone()),
        ("installation", projection.installation_id.clone()),
        ("products", Some(products).filter(|text| !text.is_empty())),
        ("source", projection.source.map(|source| source.as_str().to_owned())),
        ("expires", expiry),
        ("grace until", projection.grace_until.map(|end| end.to_string())),
        (
            "stands in for",
            projection.recovery_until.map(|end| format!("one that cannot be read, until {end}")),
        ),
        ("signer", projection.signing_certificate_fingerprint.clone()),
        ("authority", projection.development.then(|| "development".to_owned())),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    rows.extend(projection.warnings.iter().map(|warning| ("warning", warning.message.clone())));
    rows.into_iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect()
}
