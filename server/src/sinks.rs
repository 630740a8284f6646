//! Where audit events go beside the database, and how long they are kept in it: by configuration.

use std::{
    fmt, fs,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use audit::{
    AuditError, AuditLog, Consume, Consumer, Delivering, Delivery, JsonLines, Scope, SinkError, Syslog,
    SyslogTrust, Webhook,
};
use config::{Config, ConfigError, Origin, SyslogSink, WebhookSink};
use jiff::{SignedDuration, Timestamp};
use kernel::Ambient;
use secrecy::{ExposeSecret, SecretString};
use secrets::Secret;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::telemetry::{Collector, OtlpLogs};

/// How often a sink that has everything looks for more.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a receiver may take for one delivery.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is counted what waits.
const COUNT: Duration = Duration::from_secs(2);

/// How often events that are old enough are taken away.
const PRUNE: Duration = Duration::from_hours(1);

/// How long a sink that is no longer configured keeps events from being taken away.
const FORGET: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the sinks are waited for when the program ends.
const STOPPING: Duration = Duration::from_secs(5);

/// What is configured, ready to be started.
pub(crate) struct Sinks(Vec<(String, Start)>);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Start = Box<dyn FnOnce(&Ground) -> (Delivering, Running) + Send>;

/// What every sink stands on.
struct Ground {
    log: AuditLog,
    holder: Uuid,
    ambient: Ambient,
    stop: watch::Receiver<bool>,
}

/// How a sink fares.
pub(crate) struct SinkState {
    name: String,
    backlog: AtomicI64,
    delivering: Delivering,
}

/// Sinks that deliver.
pub(crate) struct Delivered {
    states: Arc<[SinkState]>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Sinks {
    /// As configured. What is wrong with one is a mistake in the configuration.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let audit = &config.audit;
        let mut sinks = Self(Vec::new());
        for (name, sink) in &audit.json_lines {
            sinks.add(format!("json-lines.{name}"), JsonLines::new(&sink.path, sink.size.get(), sink.kept));
        }
        for (name, sink) in &audit.webhook {
            let name = format!("webhook.{name}");
            let webhook = Keyed::new(config, sink).map_err(|error| refused(&name, error.as_ref()))?;
            sinks.add(name, webhook);
        }
        for (name, sink) in &audit.syslog {
            let name = format!("syslog.{name}");
            let trust = trust(&name, sink)?;
            let syslog =
                Syslog::new(&sink.address, &trust, PATIENCE).map_err(|error| refused(&name, &error))?;
            sinks.add(name, syslog);
        }
        for (name, sink) in &audit.otlp {
            let name = format!("otlp.{name}");
            let authorization = sink.authorization.as_ref().map(|reference| config.secret(reference));
            let collector = Collector::new(&sink.endpoint, authorization, &config.deployment.id);
            let collector = collector.map_err(|error| refused(&name, error.as_ref()))?;
            sinks.add(name, OtlpLogs(collector));
        }
        Ok(sinks)
    }

    fn add(&mut self, name: String, receiver: impl Consume) {
        let consumer = name.clone();
        let start: Start = Box::new(move |ground| {
            let consumer = Consumer::new(ground.log.clone(), &consumer, ground.holder, receiver);
            let (delivering, clock, mut stop) =
                (consumer.delivering(), ground.ambient.clone(), ground.stop.clone());
            let stopped = async move {
                // A sender that is gone stops as well.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            (delivering, Box::pin(consumer.run(move || clock.now(), PAUSE, stopped)))
        });
        self.0.push((name, start));
    }

    /// Starts them, and what takes old events away.
    pub(crate) fn start(self, retention_days: Option<u32>, log: &AuditLog, ambient: &Ambient) -> Delivered {
        let (stop, stopped) = watch::channel(false);
        let ground =
            Ground { log: log.clone(), holder: ambient.uuid(), ambient: ambient.clone(), stop: stopped };
        let mut tasks = JoinSet::new();
        let mut states = Vec::new();
        for (name, start) in self.0 {
            let (delivering, running) = start(&ground);
            tasks.spawn(running);
            states.push(SinkState { name, backlog: AtomicI64::new(0), delivering });
        }
        let states: Arc<[SinkState]> = states.into();
        let mut upkeep = JoinSet::new();
        upkeep.spawn(count(Arc::clone(&states), log.clone()));
        if let Some(days) = retention_days {
            upkeep.spawn(prune(days, Arc::clone(&states), log.clone(), ambient.clone()));
        }
        let mut stopped = ground.stop;
        tasks.spawn(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            upkeep.shutdown().await;
        });
        Delivered { states, stop, tasks }
    }
}

impl Delivered {
    /// How each fares.
    pub(crate) fn states(&self) -> Arc<[SinkState]> {
        Arc::clone(&self.states)
    }

    /// Lets each deliver once more, and ends them.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(true);
        let ended = timeout(STOPPING, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("audit events are still waiting for a sink");
        }
    }
}

impl SinkState {
    /// Its kind, and what the configuration calls it: `webhook.siem`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Events it has not had yet.
    pub(crate) fn backlog(&self) -> i64 {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Whether its receiver fails.
    pub(crate) fn is_failing(&self) -> bool {
        self.delivering.failing().is_some()
    }
}

/// A webhook whose secret may be replaced while the server runs.
struct Keyed {
    url: SecretString,
    secret: Secret,
    key: SecretString,
    webhook: Webhook,
}

impl Keyed {
    fn new(config: &Config, sink: &WebhookSink) -> anyhow::Result<Self> {
        let (url, secret) = (config.address(&sink.url)?, config.secret(&sink.secret));
        let key = secret.read()?;
        let webhook = Webhook::new(url.expose_secret(), key.expose_secret(), PATIENCE)?;
        Ok(Self { url, secret, key, webhook })
    }

    /// Signs with the secret as it is now.
    fn renew(&mut self) -> anyhow::Result<()> {
        let key = self.secret.read()?;
        if key.expose_secret() != self.key.expose_secret() {
            self.webhook = Webhook::new(self.url.expose_secret(), key.expose_secret(), PATIENCE)?;
            self.key = key;
        }
        Ok(())
    }
}

impl Consume for Keyed {
    async fn deliver(&mut self, events: &[Delivery], now: Timestamp) -> Result<(), SinkError> {
        self.renew().map_err(|error| SinkError::Other(error.into()))?;
        self.webhook.deliver(events, now).await
    }
}

fn refused(name: &str, error: &dyn std::error::Error) -> ConfigError {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let message = causes.fold(error.to_string(), |story, cause| format!("{story}: {cause}"));
    ConfigError::Refused { origin: Origin::Key(format!("audit.{name}")), message }
}

fn trust(name: &str, sink: &SyslogSink) -> Result<SyslogTrust, ConfigError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
    };
    let identity = match (&sink.certificate_path, &sink.key_path) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        (None, None) => None,
        _ => {
            let message = "`certificate-path` and `key-path` are stated together or not at all".to_owned();
            return Err(ConfigError::Refused { origin: Origin::Key(format!("audit.{name}")), message });
        }
    };
    Ok(SyslogTrust { authority: sink.ca_path.as_deref().map(read).transpose()?, identity })
}

async fn count(states: Arc<[SinkState]>, log: AuditLog) {
    loop {
        for state in states.iter() {
            // A database that fails says so elsewhere.
            if let Ok(waiting) = log.backlog(&state.name).await {
                state.backlog.store(i64::try_from(waiting).unwrap_or(i64::MAX), Ordering::Relaxed);
            }
        }
        sleep(COUNT).await;
    }
}

async fn prune(days: u32, states: Arc<[SinkState]>, log: AuditLog, ambient: Ambient) {
    loop {
        if let Err(error) = prune_once(days, &states, &log, &ambient).await {
            tracing::error!(%error, "old audit events are not taken away");
        }
        sleep(PRUNE).await;
    }
}

async fn prune_once(
    days: u32,
    states: &[SinkState],
    log: &AuditLog,
    ambient: &Ambient,
) -> Result<(), AuditError> {
    let now = ambient.now();
    for silent in log.silent_consumers(now - FORGET).await? {
        if states.iter().all(|state| state.name != silent) {
            tracing::warn!(sink = silent, "a sink that is no longer configured is forgotten");
            log.forget_consumer(&silent).await?;
        }
    }
    let before = now - SignedDuration::from_hours(24 * i64::from(days));
    for (scope, _) in log.end_of_log().await?.places() {
        let Ok(scope) = scope.parse::<Scope>() else { continue };
        if let Some(pruned) = log.prune(&scope, before, now).await? {
            tracing::info!(%scope, events = pruned.events, up_to = pruned.sequence, "old audit events are taken away");
        }
    }
    Ok(())
}

impl fmt::Debug for SinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkState").field("name", &self.name).finish_non_exhaustive()
    }
}
