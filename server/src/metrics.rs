//! What is measured, in the text that Prometheus reads. Each source of numbers is a collector that is asked at the scrape,
//! so nothing has to be kept up to date.

mod coverage;
mod quotas;

use std::fmt;

use descriptors::grant::LicenseStatus;
use http_api::Measure;
use kernel::Ambient;
use license::RunningLicense;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};

pub(crate) use coverage::CoverageGaps;
pub(crate) use quotas::QuotaUse;

/// Everything that is measured.
pub(crate) struct Metrics(Registry);

impl Metrics {
    /// Of a program that runs under this license.
    pub(crate) fn of(license: RunningLicense, ambient: Ambient) -> Self {
        let mut registry = Registry::with_prefix("chancery");
        registry.register_collector(Box::new(LicenseCollector { license, ambient }));
        Self(registry)
    }

    /// And by this collector.
    pub(crate) fn with(mut self, collector: impl Collector) -> Self {
        self.0.register_collector(Box::new(collector));
        self
    }
}

impl Measure for Metrics {
    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct LicenseCollector {
    license: RunningLicense,
    ambient: Ambient,
}

/// Every status there is, so that a series does not vanish when the status changes.
const STATUSES: [LicenseStatus; 9] = [
    LicenseStatus::Active,
    LicenseStatus::Grace,
    LicenseStatus::Recovery,
    LicenseStatus::Missing,
    LicenseStatus::Expired,
    LicenseStatus::Invalid,
    LicenseStatus::Blocked,
    LicenseStatus::Revoked,
    LicenseStatus::Unenforced,
];

impl Collector for LicenseCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (snapshot, now) = (self.license.snapshot(), self.ambient.now());
        if let Some(held) = snapshot.held() {
            let left = held.license().claims().expires_at.duration_since(now).as_secs();
            let help = "Seconds until the license expires; negative once it has";
            let gauge = encoder.encode_descriptor("license_expiry_seconds", help, None, MetricType::Gauge)?;
            ConstGauge::new(left).encode(gauge)?;
        }
        let help = "1 for the status the license has, 0 for the others";
        let mut family = encoder.encode_descriptor("license_status", help, None, MetricType::Gauge)?;
        for status in STATUSES {
            let gauge = ConstGauge::new(i64::from(status == snapshot.status()));
            gauge.encode(family.encode_family(&[("status", status.as_str())])?)?;
        }
        let warnings = i64::try_from(snapshot.warnings(now).len()).unwrap_or(i64::MAX);
        let help = "What an operator should look after about the license";
        let gauge = encoder.encode_descriptor("license_warnings", help, None, MetricType::Gauge)?;
        ConstGauge::new(warnings).encode(gauge)
    }
}
