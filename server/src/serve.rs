//! Serving: from an assembly to a socket, and back down in order.

use std::{future::Future, num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Context;
use audit::{AuditLog, Recorder};
use config::Config;
use console::Console;
use http_api::{
    Api, Authenticate, BoxFuture, Credential, Openings, Ready, ResolveTenant, ResolvedTenant, Standing,
    Unavailable,
};
use identity::Identity;
use kernel::{Ambient, CommandId, Module as _, Principal, TenantId};
use mail::Outbox;
use platform::{GapLog, HandedOn};
use setup::Setup;
use signup::Signup;
use store::Store;
use tenancy::{Slug, Tenancy, Tenant, TenantStatus};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinSet,
};

use crate::{
    connections,
    mail::Gauge,
    metrics::{CoverageGaps, Measured, Metrics, QuotaUse},
    notices,
    sinks::SinkState,
    wire::{self, Assembly},
};

/// How often things that are due by the clock are looked after.
const UPKEEP: Duration = Duration::from_secs(30);

/// How often the audit log is sealed: what is newer can be cut off by whoever owns the database.
const SEAL: Duration = Duration::from_mins(1);

/// How often calls are looked for that lost their process.
const INTERRUPTED: Duration = Duration::from_secs(2);

/// How often the license and what is handed on are looked after: files, the database, and edges in time.
const TICK: Duration = Duration::from_secs(1);

/// Serves until the process is told to stop; then lets running calls finish and writes what is left of the audit.
#[expect(clippy::too_many_lines, reason = "what is served and what is looked after, on one page")]
pub(crate) async fn serve(
    assembly: Assembly,
    config: &Config,
    listener: TcpListener,
    started: impl FnOnce(),
) -> anyhow::Result<()> {
    let backlog = Gauge::default();
    let retention = config.audit.retention_days.map(NonZeroU32::get);
    let sinks = assembly.sinks.start(retention, &assembly.log, &assembly.ambient);
    let quotas = QuotaUse::unknown();
    let measured = Measured {
        license: assembly.license.clone(),
        ambient: assembly.ambient.clone(),
        calls: &assembly.calls,
        recorder: assembly.recorder.clone(),
        sinks: sinks.states(),
        telemetry: assembly.telemetry.clone(),
    };
    let metrics = Metrics::of(measured)
        .with(CoverageGaps::of(&assembly.deciding, &wire::providers()))
        .with(quotas.clone())
        .with(backlog.clone());
    let metrics = Arc::new(metrics);
    let (telemetry_stop, telemetry_stopped) = oneshot::channel::<()>();
    let exporting = tokio::spawn(assembly.telemetry.clone().run(
        Arc::clone(&metrics) as _,
        assembly.ambient.clone(),
        async move { drop(telemetry_stopped.await) },
    ));
    let api = Api {
        bus: assembly.bus.clone(),
        ambient: assembly.ambient.clone(),
        authenticator: Arc::new(Operators {
            identity: assembly.identity.clone(),
            ambient: assembly.ambient.clone(),
        }),
        proxies: config.server.trusted_proxies.clone(),
        tenants: Arc::new(Tenants { tenancy: assembly.tenancy.clone(), application: assembly.application }),
        ready: Arc::new(Health {
            store: assembly.store.clone(),
            recorder: assembly.recorder.clone(),
            sinks: sinks.states(),
        }),
        metrics,
        openings: Arc::new(FirstRun { setup: assembly.setup.clone(), ambient: assembly.ambient.clone() }),
        production: config.deployment.shape.is_production(),
        denial_status: config.http.denial_status,
        limits: http_api::Limits {
            max_body_bytes: config.server.max_body_bytes,
            request_timeout: config.server.request_timeout(),
        },
    };
    let connections = connections::of(config, &assembly.ambient)?;
    let console = console::router(Console::beside(&api));
    let routes =
        http_api::routes(api).context("the routes of this program do not fit together")?.beside(console);
    // Before the first tick, which tells what was found at the start.
    let notices = assembly.license.notices();
    let recording =
        tokio::spawn(notices::record(notices, assembly.recorder.clone(), assembly.ambient.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(look_after_license(
        assembly.license.clone(),
        assembly.handed_on.clone(),
        assembly.ambient.clone(),
    ));
    tasks.spawn(quotas.measure(
        Arc::clone(&assembly.deciding),
        assembly.counters.clone(),
        assembly.ambient.clone(),
    ));
    tasks.spawn(look_after_onboarding(assembly.tenancy.clone()));
    tasks.spawn(look_after_registrations(assembly.tenancy.clone(), assembly.ambient.clone()));
    let clock = assembly.ambient.clone();
    tasks.spawn(assembly.log.clone().seal_every(SEAL, move || clock.now()));
    tasks.spawn(look_after_interrupted(
        assembly.log.clone(),
        assembly.recorder.clone(),
        assembly.ambient.clone(),
    ));
    tasks.spawn(assembly.outbox.clone().deliver(assembly.ambient.clone()));
    tasks.spawn(look_after_signups(
        assembly.signup.clone(),
        assembly.outbox.clone(),
        backlog,
        assembly.ambient.clone(),
    ));
    tasks.spawn(look_after(
        Arc::clone(&assembly.outcomes),
        assembly.identity.clone(),
        assembly.metered.clone(),
        assembly.gap_log.clone(),
        assembly.ambient.clone(),
    ));
    tasks.spawn(connections::look_after_tls(connections.tls.clone()));
    tasks.spawn(look_after_schema(assembly.store.clone()));
    let grace = Duration::from_secs(config.server.shutdown_grace_seconds.into());
    let stop = told_to_stop()?;
    started();
    let served = http_api::serve(listener, routes, connections, stop, grace).await;
    tasks.shutdown().await;
    assembly.license.remember(assembly.ambient.now()).await;
    keep(&assembly.gap_log).await;
    assembly.metered.give_back().await;
    recording.abort();
    assembly.recorder.close().await;
    // With what was just written.
    sinks.stop().await;
    // What was just written is sealed with the rest.
    if let Err(error) = assembly.log.checkpoint(assembly.ambient.now()).await {
        tracing::warn!(%error, "the last audit events are not sealed yet");
    }
    assembly.store.close().await;
    drop(telemetry_stop);
    let _ = exporting.await;
    tracing::info!("stopped");
    served.context("failed to serve")
}

/// Ends on SIGTERM or an interrupt from the terminal.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: running calls may finish");
    })
}

/// The license and what is handed on of it: what was changed in files, by another replica, or by the clock.
async fn look_after_license(license: license::RunningLicense, handed_on: HandedOn, ambient: Ambient) {
    loop {
        license.tick(ambient.now()).await;
        handed_on.tick(ambient.now()).await;
        tokio::time::sleep(TICK).await;
    }
}

/// Calls whose process died after they had changed something. While events wait for the database, their calls are not
/// interrupted: they are told as they ended once it answers.
async fn look_after_interrupted(log: AuditLog, recorder: Recorder, ambient: Ambient) {
    loop {
        let mut pause = INTERRUPTED;
        if recorder.failing().is_some() {
            pause *= 10;
        } else {
            match log.record_interrupted(ambient.now()).await {
                Ok(0) => {}
                Ok(calls) => tracing::warn!(calls, "calls were interrupted after they had changed something"),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "interrupted calls are not recorded"
                    );
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// The schema: what a newer program adds to it while this one runs.
async fn look_after_schema(store: Store) {
    loop {
        if let Ok(true) = store.notice_migrations().await {
            tracing::info!("another program has changed the schema; connections are made anew");
        }
        tokio::time::sleep(TICK).await;
    }
}

/// What operators decide about onboarding, here or on another replica. Until it is known again, what was known last holds.
async fn look_after_onboarding(tenancy: Tenancy) {
    loop {
        tokio::time::sleep(TICK).await;
        if let Err(error) = tenancy.refresh().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "failed to read the onboarding policy");
        }
    }
}

/// Registrations whose process died: they are undone.
async fn look_after_registrations(tenancy: Tenancy, ambient: Ambient) {
    loop {
        match tenancy.look_after(&ambient).await {
            Ok(found) if found.total_scanned > 0 => tracing::warn!(
                compensated = found.compensated,
                orphaned = found.orphaned,
                "registrations that came to no end were taken up"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "failed to look after registrations"),
        }
        tokio::time::sleep(UPKEEP).await;
    }
}

/// Stored outcomes, sessions and tokens past their lifetime, reservations whose process died, and counts that are to be kept.
async fn look_after(
    outcomes: Arc<quota::SqlOutcomes>,
    identity: Identity,
    metered: quota::SqlQuota,
    gap_log: GapLog,
    ambient: Ambient,
) {
    loop {
        if let Err(error) = outcomes.forget_expired(ambient.now()).await {
            tracing::warn!(%error, "failed to forget stored outcomes");
        }
        if let Err(error) = metered.forget_expired(ambient.now()).await {
            tracing::warn!(%error, "failed to forget reservations that have expired");
        }
        if let Err(error) = identity.forget_expired(ambient.now()).await {
            tracing::warn!(%error, "failed to forget sessions and tokens");
        }
        keep(&gap_log).await;
        tokio::time::sleep(UPKEEP).await;
    }
}

async fn keep(gap_log: &GapLog) {
    if let Err(error) = gap_log.keep().await {
        tracing::warn!(%error, "failed to keep the count of what deny mode would refuse");
    }
}

/// Signups that nobody calls about, and how full the outbox is.
async fn look_after_signups(signup: Signup, outbox: Outbox, backlog: Gauge, ambient: Ambient) {
    loop {
        if let Err(error) = signup.look_after(&ambient).await {
            tracing::warn!(%error, "failed to look after signups");
        }
        backlog.read(&outbox).await;
        tokio::time::sleep(UPKEEP).await;
    }
}

struct Operators {
    identity: Identity,
    ambient: Ambient,
}

impl Authenticate for Operators {
    fn authenticate<'a>(
        &'a self,
        credential: Credential<'a>,
    ) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>> {
        let credential = match credential {
            Credential::Bearer(token) => identity::Credential::Token(token),
            Credential::Session(token) => identity::Credential::Session(token),
        };
        Box::pin(
            async move { self.identity.authenticate(&self.ambient, credential).await.map_err(unavailable) },
        )
    }

    fn csrf_token(&self, session: &str) -> String {
        identity::csrf_token(session)
    }
}

struct FirstRun {
    setup: Setup,
    ambient: Ambient,
}

impl Openings for FirstRun {
    fn concern(&self, command: CommandId) -> bool {
        command.module() == Setup::NAME
    }

    fn are_open(&self) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async move { self.setup.is_open(self.ambient.now()).await.map_err(unavailable) })
    }
}

struct Tenants {
    tenancy: Tenancy,
    application: TenantId,
}

impl ResolveTenant for Tenants {
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move {
            let Ok(slug) = slug.parse::<Slug>() else { return Ok(None) };
            self.tenancy.by_slug(&slug).await.map(resolved).map_err(unavailable)
        })
    }

    fn by_id(&self, id: TenantId) -> BoxFuture<'_, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move {
            // The platform's own tenant always stands, so its operators cost no look.
            if id == self.application {
                return Ok(Some(ResolvedTenant { id, standing: Standing::Active }));
            }
            self.tenancy.by_id(id).await.map(resolved).map_err(unavailable)
        })
    }

    fn by_host<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move { self.tenancy.by_host(host).await.map(resolved).map_err(unavailable) })
    }
}

fn resolved(found: Option<Tenant>) -> Option<ResolvedTenant> {
    let standing = |status| match status {
        TenantStatus::Active => Standing::Active,
        TenantStatus::Suspended => Standing::Suspended,
        TenantStatus::PendingVerification => Standing::Pending,
    };
    found.map(|tenant| ResolvedTenant { id: tenant.id, standing: standing(tenant.status) })
}

/// Whether the database answers, and who does not take audit events.
struct Health {
    store: Store,
    recorder: Recorder,
    sinks: Arc<[SinkState]>,
}

impl Ready for Health {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(
            async move { self.store.ping().await.map_err(|_| "the database does not answer".to_owned()) },
        )
    }

    fn failing(&self) -> Vec<String> {
        let sinks = self.sinks.iter().filter(|sink| sink.is_failing()).map(SinkState::name);
        let database = self.recorder.failing().map(|_| "database");
        database.into_iter().chain(sinks).map(|name| format!("audit.{name}")).collect()
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Unavailable {
    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "failed to look up who calls");
    Unavailable
}
