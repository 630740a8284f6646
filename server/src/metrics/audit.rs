use std::{fmt, sync::Arc};

use audit::Recorder;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{sinks::SinkState, telemetry::Telemetry};

/// What waits for the sinks of the audit, and what was lost.
#[derive(Debug)]
pub(super) struct AuditCollector {
    pub(super) recorder: Recorder,
    pub(super) sinks: Arc<[SinkState]>,
    pub(super) telemetry: Telemetry,
}

/// What the database is called among the sinks.
const DATABASE: &str = "database";

impl Collector for AuditCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let waiting = i64::try_from(self.recorder.backlog()).unwrap_or(i64::MAX);
        let sinks = || self.sinks.iter().map(|sink| (sink.name(), sink));

        let help = "Audit events that a sink has not had yet";
        let mut family = encoder.encode_descriptor("audit_backlog", help, None, MetricType::Gauge)?;
        let backlogs = sinks().map(|(name, sink)| (name, sink.backlog()));
        for (name, backlog) in std::iter::once((DATABASE, waiting)).chain(backlogs) {
            ConstGauge::new(backlog).encode(family.encode_family(&[("sink", name)])?)?;
        }
        let help = "1 while a sink of audit events fails";
        let mut family = encoder.encode_descriptor("audit_sink_failing", help, None, MetricType::Gauge)?;
        let failing = sinks().map(|(name, sink)| (name, sink.is_failing()));
        for (name, failing) in std::iter::once((DATABASE, self.recorder.failing().is_some())).chain(failing) {
            ConstGauge::new(i64::from(failing)).encode(family.encode_family(&[("sink", name)])?)?;
        }
        let lost = [
            ("audit_dropped", "Audit events that were lost for want of room", self.recorder.dropped()),
            (
                "audit_unsettled",
                "Changes that were answered before their audit event was written",
                self.recorder.unsettled(),
            ),
            (
                "telemetry_dropped",
                "Spans and log records that were lost on the way to the collector",
                self.telemetry.dropped(),
            ),
        ];
        for (name, help, count) in lost {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)?;
        }
        Ok(())
    }
}
