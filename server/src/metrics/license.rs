use std::fmt;

use descriptors::grant::LicenseStatus;
use kernel::Ambient;
use license::RunningLicense;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// How the license stands.
#[derive(Debug)]
pub(super) struct LicenseCollector {
    pub(super) license: RunningLicense,
    pub(super) ambient: Ambient,
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
