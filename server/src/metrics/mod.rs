//! What is measured, in the text that Prometheus reads. What others know is asked for at the scrape, by a collector of its
//! own; only calls and requests are counted as they happen.
//!
//! **Invariant: no label carries text of a request.** Labels are ids from the registry, the names of sinks from the
//! configuration, statuses, and words of this program.

mod audit;
mod calls;
mod coverage;
mod license;
mod process;
mod quotas;
mod requests;

use std::{fmt, sync::Arc};

use ::audit::Recorder;
use ::license::RunningLicense;
use http_api::Measure;
use kernel::Ambient;
use prometheus_client::{
    collector::Collector, encoding::text::encode, metrics::info::Info, registry::Registry,
};

use self::{audit::AuditCollector, license::LicenseCollector, process::ProcessCollector, requests::Requests};
use crate::{sinks::SinkState, telemetry::Telemetry};

pub(crate) use self::{calls::Calls, coverage::CoverageGaps, quotas::QuotaUse};

/// Everything that is measured.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Requests,
}

/// Of whom it is measured.
pub(crate) struct Measured<'m> {
    pub(crate) license: RunningLicense,
    pub(crate) ambient: Ambient,
    pub(crate) calls: &'m Calls,
    pub(crate) recorder: Recorder,
    pub(crate) sinks: Arc<[SinkState]>,
    pub(crate) telemetry: Telemetry,
}

impl Metrics {
    /// Of a program.
    pub(crate) fn of(measured: Measured<'_>) -> Self {
        let Measured { license, ambient, calls, recorder, sinks, telemetry } = measured;
        let mut all = Registry::default();
        all.register_collector(Box::new(ProcessCollector { started: ambient.now() }));
        let registry = all.sub_registry_with_prefix("chancery");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What this program is", build);
        calls.register(registry);
        let requests = Requests::registered(registry);
        registry.register_collector(Box::new(LicenseCollector { license, ambient }));
        registry.register_collector(Box::new(AuditCollector { recorder, sinks, telemetry }));
        Self { registry: all, requests }
    }

    /// And what this one knows.
    pub(crate) fn with(mut self, collector: impl Collector) -> Self {
        self.registry.sub_registry_with_prefix("chancery").register_collector(Box::new(collector));
        self
    }
}

impl Measure for Metrics {
    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn began(&self) {
        self.requests.began();
    }

    fn ended(&self, status: Option<u16>) {
        self.requests.ended(status);
    }
}
