//! `platform.coverage.report`

use sdk::{descriptors::coverage::CoverageReport, prelude::*};

use crate::{COVERAGE_READ, Platform, PlatformError};

/// Report which commands are covered by licensing, and what should be looked at.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.coverage.report", Platform -> CoverageReport)]
#[access(permission = COVERAGE_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/coverage")]
pub struct ReportCoverage {}

impl Handle<ReportCoverage> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ReportCoverage) -> Result<CoverageReport, PlatformError> {
        let deciding = &self.deciding;
        Ok(pipeline::coverage(deciding.registry(), deciding.catalog(), deciding.policy()))
    }
}
