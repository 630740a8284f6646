use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::Ambient;
use pipeline::{Counters, Deciding, QuotaView};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// How often use is read. A scrape never asks the database.
const EVERY: Duration = Duration::from_secs(15);

/// How far the platform uses its quotas, as it was read last. Tenants are left out: there may be any number of them.
#[derive(Clone, Debug)]
pub(crate) struct QuotaUse(Arc<Mutex<Vec<QuotaView>>>);

impl QuotaUse {
    /// Nothing was read yet.
    pub(crate) fn unknown() -> Self {
        Self(Arc::default())
    }

    /// Reads it, again and again. What cannot be read is not told.
    pub(crate) async fn measure(self, deciding: Arc<Deciding>, counters: Counters, ambient: Ambient) {
        loop {
            let read = deciding.quotas(None, &counters, ambient.now()).await;
            let read = read.inspect_err(|error| {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "failed to read what is used of the quotas"
                );
            });
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = read.unwrap_or_default();
            tokio::time::sleep(EVERY).await;
        }
    }
}

const SCOPE: &str = "platform";

impl Collector for QuotaUse {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let quotas = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let value = |units: u64| ConstGauge::new(i64::try_from(units).unwrap_or(i64::MAX));
        let used: Vec<_> = quotas.iter().filter_map(|quota| Some((quota, quota.used?))).collect();
        if !used.is_empty() {
            let help = "Units charged in the present window, or things that exist, by quota";
            let mut family = encoder.encode_descriptor("quota_used", help, None, MetricType::Gauge)?;
            for (quota, used) in used {
                let labels = [("quota", quota.quota_key.as_str()), ("scope", SCOPE)];
                value(used).encode(family.encode_family(&labels)?)?;
            }
        }
        let limits: Vec<_> = quotas.iter().filter_map(|quota| Some((quota, quota.limit?))).collect();
        if !limits.is_empty() {
            let help = "Units, or things, that there may be, by quota";
            let mut family = encoder.encode_descriptor("quota_limit", help, None, MetricType::Gauge)?;
            for (quota, limit) in limits {
                let labels = [("quota", quota.quota_key.as_str()), ("scope", SCOPE)];
                value(limit).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
