//! The whole assembly on one page: which modules there are, what stands before them, and where things are kept.

use std::sync::Arc;

use anyhow::Context;
use audit::{AuditLog, Recorder, SqlSink};
use config::Config;
use descriptors::{
    access::{Access, Audience},
    catalog::Catalog,
    coverage::CoveragePolicy,
    descriptor::DeploymentShape,
};
use health::Health;
use identity::{Identity, Permissions};
use kernel::{Ambient, Bus, Contract, Modules, Registry, TenantId};
use license::RunningLicense;
use pipeline::{Deciding, Guards, Limits, Parts, column};
use platform::Platform;
use quota::{Providers, SqlCardinality, SqlOutcomes, SqlQuota};
use secrecy::ExposeSecret;
use store::{Migration, Options, Store};
use tenancy::{ONBOARDING, OperatorOnboarding, Tenancy};

/// A program that is put together and can be called.
pub(crate) struct Assembly {
    pub(crate) bus: Bus,
    pub(crate) ambient: Ambient,
    pub(crate) license: RunningLicense,
    pub(crate) recorder: Recorder,
    pub(crate) outcomes: Arc<SqlOutcomes>,
    pub(crate) identity: Identity,
    pub(crate) tenancy: Tenancy,
    pub(crate) store: Store,
    /// The tenant that operators of the platform belong to.
    pub(crate) application: TenantId,
}

/// The tables of everything that is mounted below.
pub(crate) fn migrations() -> Vec<Migration> {
    [audit::MIGRATIONS, quota::MIGRATIONS, identity::MIGRATIONS, tenancy::MIGRATIONS].concat()
}

/// Opens the configured database.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let mut options = Options::default();
    if let Some(connections) = config.database.connections {
        options.connections = connections.get();
    }
    Store::open(config.database.url.expose_secret(), options).await.context("failed to open the database")
}

/// The commands of this program and the catalog they are sold by: known without a configuration.
pub(crate) fn inventory() -> anyhow::Result<(Arc<Registry>, Arc<Catalog>)> {
    let registry = Registry::linked().context("the commands of this program do not fit together")?;
    let catalog = Catalog::linked().context("the catalog of this program does not fit together")?;
    Ok((Arc::new(registry), Arc::new(catalog)))
}

/// What decisions are made from.
pub(crate) fn deciding(
    policy: CoveragePolicy,
    shape: DeploymentShape,
    deployment: &str,
    license: &RunningLicense,
) -> anyhow::Result<Arc<Deciding>> {
    let (registry, catalog) = inventory()?;
    Ok(Arc::new(Deciding::new(registry, catalog, policy, shape, deployment.to_owned(), license.clone())))
}

/// Puts the program together over a database whose schema is up to date.
pub(crate) async fn assemble(
    config: &Config,
    store: Store,
    license: RunningLicense,
    ambient: Ambient,
) -> anyhow::Result<Assembly> {
    let deciding =
        deciding(config.coverage_policy(), config.deployment.shape.clone(), &config.deployment.id, &license)?;
    let registry = Arc::clone(deciding.registry());

    let identity = Identity::new(store.clone(), permissions(&registry));
    let tenancy = Tenancy::new(store.clone());
    let application = tenancy
        .application_tenant(&ambient)
        .await
        .context("failed to make sure of the application tenant")?;
    let recorder = Recorder::start(SqlSink::new(store.clone()), audit::Limits::default());
    let node = ambient.uuid();
    let outcomes = Arc::new(SqlOutcomes::new(store.clone(), node));

    let modules = Modules::none()
        .mount(Health)
        .mount(identity.clone())
        .mount(Platform::new(Arc::clone(&deciding), AuditLog::new(store.clone())))
        .mount(tenancy.clone());
    let guards = Guards::none().with(ONBOARDING, OperatorOnboarding { application });
    let parts = Parts {
        deciding,
        quotas: Arc::new(SqlQuota::new(store.clone(), node)),
        cardinality: Arc::new(SqlCardinality::new(store.clone(), node, Providers::none())),
        outcomes: Arc::clone(&outcomes) as _,
        recorder: recorder.clone(),
        guards,
        limits: Limits { call: config.server.request_timeout(), ..Limits::STANDARD },
    };
    let bus = Bus::new(Arc::clone(&registry), column(registry.open(modules)?, parts)?);
    Ok(Assembly { bus, ambient, license, recorder, outcomes, identity, tenancy, store, application })
}

/// Every permission that some command asks for, and the one to act for other tenants.
fn permissions(registry: &Registry) -> Permissions {
    let asked = registry.entries().filter_map(|(_, entry)| {
        match entry.contract().and_then(Contract::facet::<Access>)?.audience() {
            Audience::Permission(permission) => Some(permission),
            Audience::Public | Audience::Authenticated | Audience::Internal => None,
        }
    });
    Permissions::of_program(asked.chain([http_api::TENANTS_ACT]))
}
