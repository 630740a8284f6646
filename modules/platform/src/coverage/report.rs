//! `platform.coverage.report`

use pipeline::WouldBeDenied;
use sdk::{descriptors::coverage::CoverageReport, prelude::*};

use crate::{COVERAGE_READ, Platform, PlatformError};

/// Report which commands are covered by licensing, and what should be looked at.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.coverage.report", Platform -> CoverageAnswer)]
#[access(permission = COVERAGE_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/coverage")]
pub struct ReportCoverage {
    /// A format for machines, in which the report is told as a text too.
    #[serde(default)]
    pub format: Option<TextFormat>,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextFormat {
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML, for test reports.
    Junit,
    /// A table, for people.
    Table,
}

/// The report, and what deny mode would have refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoverageAnswer {
    /// The report.
    #[serde(flatten)]
    pub report: CoverageReport,
    /// What deny mode would have refused since counting began, on all replicas. What another one counted is told within
    /// half a minute.
    pub would_be_denied: WouldBeDenied,
    /// The report in the format that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Handle<ReportCoverage> for Platform {
    async fn handle(&self, _cx: &Cx, command: ReportCoverage) -> Result<CoverageAnswer, PlatformError> {
        let deciding = &self.deciding;
        let (registry, catalog) = (deciding.registry(), deciding.catalog());
        let report = pipeline::coverage(registry, catalog, deciding.policy(), &self.providers);
        let text = command.format.map(|format| match format {
            TextFormat::Sarif => report.to_sarif(env!("CARGO_PKG_VERSION")),
            TextFormat::Junit => report.to_junit(),
            TextFormat::Table => report.to_table(),
        });
        Ok(CoverageAnswer { report, would_be_denied: self.gap_log.told().await?, text })
    }
}
