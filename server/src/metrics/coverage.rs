use std::fmt;

use descriptors::coverage::FindingKind;
use pipeline::Deciding;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use quota::Providers;

/// How many findings of each kind the coverage report has. They are of the program, so they are counted once.
#[derive(Debug)]
pub(crate) struct CoverageGaps(Vec<(FindingKind, i64)>);

impl CoverageGaps {
    pub(crate) fn of(deciding: &Deciding, providers: &Providers) -> Self {
        let (registry, catalog) = (deciding.registry(), deciding.catalog());
        let report = pipeline::coverage(registry, catalog, deciding.policy(), providers);
        let count = |kind| report.findings.iter().filter(|finding| finding.kind == kind).count();
        let counted = |kind| (kind, i64::try_from(count(kind)).unwrap_or(i64::MAX));
        Self(FindingKind::ALL.map(counted).to_vec())
    }
}

impl Collector for CoverageGaps {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "What the coverage report says should be looked at, by kind";
        let mut family = encoder.encode_descriptor("coverage_gaps", help, None, MetricType::Gauge)?;
        for (kind, count) in &self.0 {
            ConstGauge::new(*count).encode(family.encode_family(&[("kind", kind.as_str())])?)?;
        }
        Ok(())
    }
}
