//! Answers for people. Machines get JSON of the same types.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};
use descriptors::{
    coverage::{CommandCoverage, CoverageReport, GapMode, Verdict},
    denial::Reason,
};
use license::{Diff, LicenseProjection};
use pipeline::{
    CommandChange, ExplanationView, QuotaChange, QuotaScope, QuotaView, SimulatedDecision, Simulation,
};
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
    let answer = view.reason.map(Reason::as_str).or(view.exemption.as_deref());
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

/// A fingerprint in groups, to be read over the phone.
pub fn fingerprint(hex: &str) -> String {
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// What changes from one license to another, by subject.
pub fn diff(diff: &Diff) -> String {
    let mut text = format!("from `{}` to `{}`\n", diff.old_license_id, diff.new_license_id);
    let mut subject = None;
    for change in &diff.changes {
        if subject != Some(change.subject) {
            text += &format!("\n{}\n", change.subject);
            subject = Some(change.subject);
        }
        text += &format!("  {} {}\n", change.effect.mark(), change.text);
    }
    if diff.is_empty() {
        text += "both permit the same\n";
    } else {
        text += "\n+ more   - less   ~ different\n";
    }
    text
}

/// What another license would change.
pub fn simulation(simulation: &Simulation) -> String {
    let mut text =
        format!("license {} -> {}\n", simulation.status_before.as_str(), simulation.status_after.as_str());
    for (heading, before, after) in [
        ("refused from then on", true, false),
        ("allowed from then on", false, true),
        ("refused for another reason", false, false),
    ] {
        let is_one = |it: &&CommandChange| (it.before.runs, it.after.runs) == (before, after);
        let changes = simulation.commands.iter().filter(is_one);
        let lines: Vec<_> = changes.map(command_change).collect();
        if !lines.is_empty() {
            text += &format!("\n{heading}\n{}", lines.concat());
        }
    }
    for tenant in &simulation.tenants {
        text += &format!("\nfor tenant {}\n", tenant.tenant);
        text += &tenant.commands.iter().map(command_change).collect::<String>();
    }
    if !simulation.lost_features.is_empty() {
        text += "\nfeatures lost\n";
        for lost in &simulation.lost_features {
            let asking =
                if lost.commands.is_empty() { "no command".to_owned() } else { lost.commands.join(", ") };
            text += &format!("  {:<40} asked for by {asking}\n", lost.feature);
        }
    }
    if !simulation.quotas.is_empty() {
        text += "\nquotas\n";
        text += &simulation.quotas.iter().map(quota_change).collect::<String>();
    }
    text += &format!(
        "\n{} commands are decided otherwise, {} as before\n",
        simulation.commands.len(),
        simulation.unchanged_commands
    );
    text
}

fn command_change(change: &CommandChange) -> String {
    format!("  {:<40} {} -> {}\n", change.command, verdict_of(&change.before), verdict_of(&change.after))
}

fn verdict_of(decision: &SimulatedDecision) -> String {
    match decision.reason {
        Some(reason) => format!("{reason} ({})", decision.because),
        None => "runs".to_owned(),
    }
}

fn quota_change(quota: &QuotaChange) -> String {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let used = quota.used.map(|used| format!(", {used} used now")).unwrap_or_default();
    let exceeded = if quota.exceeded { ": ABOVE THE NEW LIMIT" } else { "" };
    format!(
        "  {:<40} {} -> {}{used}{exceeded}\n",
        quota.quota,
        limit(quota.limit_before),
        limit(quota.limit_after)
    )
}

/// How far quotas are used.
pub fn quotas(quotas: &[QuotaView]) -> String {
    let mut rows = table(&["quota", "scope", "used", "reserved", "limit", "window", "resets", "runs out"]);
    for quota in quotas {
        let number =
            |value: Option<u64>, none: &str| value.map_or_else(|| none.to_owned(), |it| it.to_string());
        let instant = |value: Option<jiff::Timestamp>| value.map(|it| it.to_string()).unwrap_or_default();
        let scope = match quota.scope {
            QuotaScope::Platform => "platform",
            QuotaScope::Tenant => "tenant",
        };
        let runs_out = if quota.at_cap { "now".to_owned() } else { instant(quota.runs_out_at) };
        rows.add_row([
            quota.quota_key.clone(),
            scope.to_owned(),
            number(quota.used, "not counted"),
            number(quota.reserved, ""),
            number(quota.limit, "unlimited"),
            quota.window.clone().unwrap_or_default(),
            instant(quota.window_end),
            runs_out,
        ]);
    }
    format!("{rows}\n")
}
