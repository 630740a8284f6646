//! What leaves the machine: traces, metrics and logs, as OTLP over HTTP. Nothing does unless the configuration names a
//! collector (`telemetry.otlp`).
//!
//! A collector that does not answer holds nobody up: what waits for it is bounded, and what is lost is counted.

mod audit;
mod collector;
mod logs;
mod metrics;
mod proto;
mod spans;

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use config::{Config, Otlp};
use http_api::Measure;
use jiff::Timestamp;
use kernel::Ambient;
use prost::Message;
use tokio::{sync::mpsc, time::sleep};

use self::{
    collector::Untaken,
    metrics::Times,
    proto::{LogRecord, Logs, Metrics, Span, Traces},
};

pub(crate) use self::{audit::OtlpLogs, collector::Collector, logs::LogLayer, spans::Spans};

/// How many spans and log records may wait.
const ROOM: usize = 8192;

/// The collector, if there is one. Clones are the same.
#[derive(Clone)]
pub(crate) struct Telemetry(Option<Arc<Exporting>>);

struct Exporting {
    settings: Otlp,
    collector: Collector,
    outbox: Outbox,
    /// Until somebody sends it.
    waiting: Mutex<Option<mpsc::Receiver<Signal>>>,
}

enum Signal {
    Span(Span),
    Log(LogRecord),
}

/// Where spans and log records are put.
#[derive(Clone)]
struct Outbox {
    queue: mpsc::Sender<Signal>,
    dropped: Arc<AtomicU64>,
}

impl Outbox {
    fn put(&self, signal: Signal) {
        if self.queue.try_send(signal).is_err() {
            self.lost(1);
        }
    }

    fn lost(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Telemetry {
    /// As configured.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let Some(settings) = config.telemetry.otlp.clone() else { return Ok(Self(None)) };
        let authorization = settings.authorization.as_ref().map(|reference| config.secret(reference));
        let collector = Collector::new(&settings.endpoint, authorization, &config.deployment.id)?;
        let (queue, waiting) = mpsc::channel(ROOM);
        let outbox = Outbox { queue, dropped: Arc::default() };
        Ok(Self(Some(Arc::new(Exporting {
            settings,
            collector,
            outbox,
            waiting: Mutex::new(Some(waiting)),
        }))))
    }

    /// What takes log records, where they are sent.
    pub(crate) fn log_layer(&self) -> Option<LogLayer> {
        let exporting = self.0.as_ref().filter(|exporting| exporting.settings.logs)?;
        Some(LogLayer { outbox: exporting.outbox.clone(), ambient: Ambient::system() })
    }

    /// Where spans go, where they are sent.
    pub(crate) fn spans(&self) -> Option<Spans> {
        let exporting = self.0.as_ref().filter(|exporting| exporting.settings.traces)?;
        Some(Spans(exporting.outbox.clone()))
    }

    /// Spans and log records that were lost since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |exporting| exporting.outbox.dropped.load(Ordering::Relaxed))
    }

    /// Sends what there is at every interval, until it is told to stop; then once more.
    pub(crate) async fn run(
        self,
        measured: Arc<dyn Measure>,
        ambient: Ambient,
        stop: impl Future<Output = ()>,
    ) {
        let Some(exporting) = self.0 else { return };
        let Some(inbox) = exporting.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let interval = Duration::from_secs(exporting.settings.interval_seconds.get().into());
        let started = nanos(ambient.now());
        let mut sending = Sending { exporting, measured, inbox, started, ambient, failing: false };
        let mut stop = pin!(stop);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = sleep(interval) => false,
            };
            sending.send().await;
            if stopped {
                return;
            }
        }
    }
}

struct Sending {
    exporting: Arc<Exporting>,
    measured: Arc<dyn Measure>,
    inbox: mpsc::Receiver<Signal>,
    started: u64,
    ambient: Ambient,
    failing: bool,
}

impl Sending {
    async fn send(&mut self) {
        let (mut spans, mut logs) = (Vec::new(), Vec::new());
        while let Ok(signal) = self.inbox.try_recv() {
            match signal {
                Signal::Span(span) => spans.push(span),
                Signal::Log(record) => logs.push(record),
            }
        }
        let resource = || self.exporting.collector.resource();
        let mut sent = Ok(());
        if !spans.is_empty() {
            let count = spans.len();
            sent = sent.and(self.offer("traces", &Traces::of(resource(), spans), count).await);
        }
        if !logs.is_empty() {
            let count = logs.len();
            sent = sent.and(self.offer("logs", &Logs::of(resource(), logs), count).await);
        }
        if self.exporting.settings.metrics
            && let Ok(text) = self.measured.text()
        {
            let times = Times { started: self.started, now: nanos(self.ambient.now()) };
            let request = Metrics::of(resource(), metrics::read(&text, times));
            sent = sent.and(self.offer("metrics", &request, 0).await);
        }
        match &sent {
            Ok(()) if self.failing => tracing::info!("telemetry is taken again"),
            Err(error) if !self.failing => tracing::warn!(%error, "telemetry is not taken"),
            Ok(()) | Err(_) => {}
        }
        self.failing = sent.is_err();
    }

    async fn offer(&self, signal: &str, request: &impl Message, count: usize) -> Result<(), Untaken> {
        let sent = self.exporting.collector.send(signal, request).await;
        if sent.is_err() {
            self.exporting.outbox.lost(count);
        }
        sent
    }
}

/// Nanoseconds since 1970. OTLP has no others.
fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Telemetry" } else { "NoTelemetry" })
    }
}
