use std::{fmt, fs};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// What the process takes up, under the names that Prometheus' own clients use. Where there is no `/proc`, only since when.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    pub(super) started: Timestamp,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let known = [
            ("process_start_time_seconds", "When the process started", Some(self.started.as_second())),
            ("process_resident_memory_bytes", "Memory of the process", resident_bytes()),
            ("process_open_fds", "Files and sockets that the process has open", open_files()),
        ];
        for (name, help, value) in known {
            if let Some(value) = value {
                let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(gauge)?;
            }
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<i64>().ok()? * 1024)
}

fn open_files() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
