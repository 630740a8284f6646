//! `chancery coverage`

use cli::{Coverage, ReportFormat, print};

use crate::wire;

/// Prints the report. `false` when there is a finding that was to fail.
pub(crate) fn run(args: &Coverage) -> anyhow::Result<bool> {
    let config = crate::load_if_named(&args.config)?;
    let (registry, catalog) = wire::inventory(config.as_ref())?;
    let policy = wire::coverage_policy(config.as_ref());
    let report = pipeline::coverage(&registry, &catalog, &policy, &wire::providers());
    print::text(&match args.format {
        ReportFormat::Table => print::coverage(&report),
        ReportFormat::Json => report.to_json() + "\n",
        ReportFormat::Sarif => report.to_sarif(env!("CARGO_PKG_VERSION")) + "\n",
        ReportFormat::Junit => report.to_junit(),
    })?;
    let mut fails = false;
    for finding in report.failing(&args.fail_on, &args.fail_under) {
        eprintln!("error: {} {}: {}", finding.kind, finding.subject, finding.message);
        fails = true;
    }
    Ok(!fails)
}
