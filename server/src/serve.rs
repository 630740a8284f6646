//! Serving: from an assembly to a socket, and back down in order.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use config::Config;
use http_api::{Api, Authenticate, BoxFuture, Ready, ResolveTenant, Unavailable};
use identity::Identity;
use kernel::{Ambient, Principal, TenantId};
use store::Store;
use tenancy::{Slug, Tenancy};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::wire::Assembly;

/// How often things that are due by the clock are looked after.
const UPKEEP: Duration = Duration::from_secs(30);

/// Serves until the process is told to stop; then lets running calls finish and writes what is left of the audit.
pub(crate) async fn serve(
    assembly: Assembly,
    config: &Config,
    listener: TcpListener,
    started: impl FnOnce(),
) -> anyhow::Result<()> {
    let api = Api {
        bus: assembly.bus.clone(),
        ambient: assembly.ambient.clone(),
        authenticator: Arc::new(Operators {
            identity: assembly.identity.clone(),
            ambient: assembly.ambient.clone(),
        }),
        tenants: Arc::new(Tenants(assembly.tenancy.clone())),
        ready: Arc::new(DatabaseAnswers(assembly.store.clone())),
        production: config.deployment.shape.is_production(),
        denial_status: config.http.denial_status,
        limits: http_api::Limits {
            max_body_bytes: config.server.max_body_bytes,
            request_timeout: config.server.request_timeout(),
        },
    };
    let router = http_api::router(api).context("the routes of this program do not fit together")?;
    let upkeep = tokio::spawn(look_after(
        assembly.license.clone(),
        Arc::clone(&assembly.outcomes),
        assembly.ambient.clone(),
    ));
    let grace = Duration::from_secs(config.server.shutdown_grace_seconds.into());
    let stop = told_to_stop()?;
    started();
    let served = http_api::serve(listener, router, stop, grace).await;
    upkeep.abort();
    assembly.recorder.close().await;
    assembly.store.close().await;
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

/// The license's edges in time, and stored outcomes past their lifetime.
async fn look_after(license: license::RunningLicense, outcomes: Arc<quota::SqlOutcomes>, ambient: Ambient) {
    loop {
        let now = ambient.now();
        let edge = license.next_edge();
        if edge.is_some_and(|edge| edge <= now) {
            let license = license.clone();
            let refreshed = tokio::task::spawn_blocking(move || license.refresh(now)).await;
            if let Err(error) = refreshed {
                tracing::error!(%error, "failed to read the license again");
            }
        }
        if let Err(error) = outcomes.forget_expired(now).await {
            tracing::warn!(%error, "failed to forget stored outcomes");
        }
        let until_edge = edge.and_then(|edge| Duration::try_from(edge.duration_since(now)).ok());
        tokio::time::sleep(until_edge.map_or(UPKEEP, |left| left.min(UPKEEP))).await;
    }
}

struct Operators {
    identity: Identity,
    ambient: Ambient,
}

impl Authenticate for Operators {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>> {
        Box::pin(async move { self.identity.authenticate(&self.ambient, bearer).await.map_err(unavailable) })
    }
}

struct Tenants(Tenancy);

impl ResolveTenant for Tenants {
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Option<TenantId>, Unavailable>> {
        Box::pin(async move {
            let Ok(slug) = slug.parse::<Slug>() else { return Ok(None) };
            self.0.by_slug(&slug).await.map_err(unavailable)
        })
    }
}

struct DatabaseAnswers(Store);

impl Ready for DatabaseAnswers {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.0.ping().await.map_err(|_| "the database does not answer".to_owned()) })
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Unavailable {
    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "failed to look up who calls");
    Unavailable
}
