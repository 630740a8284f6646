//! The whole assembly on one page: which modules there are, what stands before them, and where things are kept.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use audit::{AuditLog, Recorder, SqlSink};
use config::{Config, ConfigError, Quota, WindowAnchor};
use descriptors::{
    access::{Access, Audience},
    catalog::Catalog,
    coverage::{CoveragePolicy, GapMode},
    descriptor::DeploymentShape,
};
use envelope::oid::ObjectIdentifier;
use health::Health;
use identity::{Identity, Mailing, OPERATORS_READ, OPERATORS_WRITE, Permissions};
use jiff::Timestamp;
use kernel::{Ambient, Bus, Contract, Line, Modules, Registry, TenantId};
use license::{Memory, RequestDesk, RunningLicense, Sources};
use mail::Outbox;
use pipeline::{Counters, Deciding, Guards, Limits, Parts, column};
use platform::{GapLog, HandedOn, Platform};
use quota::{Providers, SqlCardinality, SqlOutcomes, SqlQuota, Windows};
use secrecy::{ExposeSecret, SecretString};
use setup::Setup;
use signup::Signup;
use store::{Migration, Options, Store};
use tenancy::{ONBOARDING, OnboardingPolicy, Tenancy, ToggledOnboarding};

use crate::{
    Program, metrics::Calls, sealing, settings, sinks::Sinks, telemetry::Telemetry, tenants::Lookup,
};

/// A program that is put together and can be called.
pub(crate) struct Assembly {
    pub(crate) bus: Bus,
    pub(crate) ambient: Ambient,
    pub(crate) license: RunningLicense,
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) handed_on: HandedOn,
    pub(crate) counters: Counters,
    pub(crate) gap_log: GapLog,
    pub(crate) log: AuditLog,
    pub(crate) recorder: Recorder,
    pub(crate) outcomes: Arc<SqlOutcomes>,
    pub(crate) metered: SqlQuota,
    pub(crate) identity: Identity,
    pub(crate) tenancy: Tenancy,
    pub(crate) setup: Setup,
    pub(crate) signup: Signup,
    pub(crate) outbox: Outbox,
    pub(crate) store: Store,
    pub(crate) calls: Arc<Calls>,
    pub(crate) sinks: Sinks,
    pub(crate) telemetry: Telemetry,
    /// The tenant that operators of the platform belong to.
    pub(crate) application: TenantId,
}

/// The tables of the standard modules and of what they stand on.
pub(crate) fn migrations() -> Vec<Migration> {
    [
        audit::MIGRATIONS,
        license::MIGRATIONS,
        quota::MIGRATIONS,
        identity::MIGRATIONS,
        setup::MIGRATIONS,
        tenancy::MIGRATIONS,
        mail::MIGRATIONS,
        signup::MIGRATIONS,
        platform::MIGRATIONS,
    ]
    .concat()
}

/// Opens the configured database.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let mut options = Options::default();
    if let Some(connections) = config.database.connections {
        options.connections = connections.get();
    }
    Store::open(database(config)?.expose_secret(), options).await.context("failed to open the database")
}

/// Where the database is.
pub(crate) fn database(config: &Config) -> Result<SecretString, ConfigError> {
    config.address(&config.database.url).map_err(|error| ConfigError::lacking("database.url", error))
}

/// Who counts the live things of which quota. Known without a configuration, so that coverage can tell what nobody counts.
pub(crate) fn providers() -> Providers {
    tenancy::cardinality_providers(Providers::none())
}

/// The commands of this program and the catalog they are sold by, with what a deployment adds to it.
pub(crate) fn inventory(config: Option<&Config>) -> anyhow::Result<(Arc<Registry>, Arc<Catalog>)> {
    let registry = Registry::linked().context("the commands of this program do not fit together")?;
    let catalog = match config {
        None => Catalog::linked().context("the catalog of this program does not fit together")?,
        Some(config) => config.catalog()?,
    };
    Ok((Arc::new(registry), Arc::new(catalog)))
}

/// How gaps are treated. Where nothing is configured: warned of, and nothing excepted.
pub(crate) fn coverage_policy(config: Option<&Config>) -> CoveragePolicy {
    let bare = || CoveragePolicy { gaps: GapMode::Warn, ..CoveragePolicy::strict() };
    config.map_or_else(bare, Config::coverage_policy)
}

/// What decisions are made from.
pub(crate) fn deciding(config: Option<&Config>, license: &RunningLicense) -> anyhow::Result<Arc<Deciding>> {
    let (registry, catalog) = inventory(config)?;
    let policy = coverage_policy(config);
    let shape = config.map_or_else(|| DeploymentShape::stating([]), |config| config.deployment.shape.clone());
    let deployment = config.map_or("unconfigured", |config| &config.deployment.id).to_owned();
    let deciding = Deciding::new(registry, catalog, policy, shape, deployment, license.clone());
    Ok(Arc::new(deciding.counting_in(config.map_or(Windows::OfLicense, windows))))
}

/// Hands on what the database says, as a server would: to look at it. Where the database does not answer, every tenant
/// inherits the whole license, and standard error says so.
pub(crate) async fn look_at_entitlements(
    deciding: &Deciding,
    store: Result<&Store, &anyhow::Error>,
    now: Timestamp,
) {
    let read = match store {
        Ok(store) => HandedOn::read(store, now).await.map_err(anyhow::Error::from),
        Err(error) => Err(anyhow::anyhow!("{error:#}")),
    };
    match read {
        Ok(entitlements) => deciding.hand_on(entitlements),
        Err(error) => eprintln!("note: baseline and subscriptions are not seen: {error:#}"),
    }
}

/// Where the windows of metered quotas begin, by configuration.
pub(crate) fn windows(config: &Config) -> Windows {
    let Quota { window_anchor, time_zone } = &config.license.quota;
    match window_anchor {
        WindowAnchor::License => Windows::OfLicense,
        WindowAnchor::Calendar => Windows::OfCalendar(time_zone.clone()),
    }
}

/// Where licenses come from, by configuration, with the policies under which partners sign for our products.
pub(crate) fn license_sources(config: &Config, catalog: &Catalog) -> anyhow::Result<Sources> {
    let stated =
        catalog.products().filter_map(|product| Some((product.id.clone(), product.policy.as_deref()?)));
    let policies = stated.map(|(product, policy)| {
        let policy = ObjectIdentifier::new(policy)
            .map_err(|error| anyhow::anyhow!("the policy of product `{product}`: {error}"))?;
        Ok((product, policy))
    });
    Ok(config.license_sources(policies.collect::<anyhow::Result<_>>()?)?)
}

/// Opens the configured database to look at it: one that is not there is not made, and is an error.
pub(crate) async fn look_at_store(config: &Config) -> anyhow::Result<Store> {
    let url = database(config)?;
    let url = url.expose_secret();
    if let Some(("sqlite", path)) = url.split_once(':') {
        let file = Path::new(path.strip_prefix("//").unwrap_or(path));
        anyhow::ensure!(file.exists(), "there is no file `{}`", file.display());
    }
    let options = Options { connections: 1, patience: Duration::from_secs(5) };
    Store::open(url, options).await.context("failed to open the database")
}

/// The license of this deployment as its server would find it. Writes nothing. Where the database does not answer, what is
/// configured counts alone, and standard error says so.
pub(crate) async fn look_at_license(
    sources: Sources,
    store: Result<&Store, &anyhow::Error>,
    now: Timestamp,
) -> RunningLicense {
    let memory = match store {
        Ok(store) => Memory::observing(store.clone()),
        Err(error) => {
            eprintln!("note: what is installed in the database is not seen: {error:#}");
            Memory::none()
        }
    };
    RunningLicense::start(sources, memory, now).await
}

/// The license that the configured sources and the database hold.
pub(crate) async fn start_license(
    config: &Config,
    store: &Store,
    ambient: &Ambient,
) -> anyhow::Result<RunningLicense> {
    let sources = license_sources(config, &inventory(Some(config))?.1)?;
    let runtime = &config.license.runtime;
    if runtime.last_good_snapshot_path.is_some() || runtime.last_seen_time_path.is_some() {
        tracing::info!(
            "the license's state is kept in the database; the files of `license.runtime` are not used"
        );
    }
    Ok(RunningLicense::start(sources, Memory::database(store.clone()), ambient.now()).await)
}

/// Puts the program together over a database whose schema is up to date.
#[expect(clippy::too_many_lines, reason = "the whole assembly, on one page")]
pub(crate) async fn assemble(
    program: &Program,
    config: &Config,
    store: Store,
    license: RunningLicense,
    ambient: Ambient,
    telemetry: Telemetry,
) -> anyhow::Result<Assembly> {
    let sinks = Sinks::of(config)?;
    let deciding = deciding(Some(config), &license)?;
    let handed_on = HandedOn::start(store.clone(), Arc::clone(&deciding), ambient.now())
        .await
        .context("failed to read what is handed on to tenants")?;
    let registry = Arc::clone(deciding.registry());

    let line = Line::default();
    let application = tenancy::application_tenant(&store, &ambient)
        .await
        .context("failed to make sure of the application tenant")?;
    let policy = OnboardingPolicy::closed();
    let tenancy = Tenancy::new(store.clone(), application, settings::tenancy(config, &line, policy.clone())?);
    tenancy.refresh().await.context("failed to read the onboarding policy")?;
    let recorder = Recorder::start(SqlSink::new(store.clone()), settings::recording(config));
    let node = ambient.uuid();
    let outcomes = Arc::new(SqlOutcomes::new(store.clone(), node));
    let metered = SqlQuota::new(store.clone(), node);
    let counters = Counters {
        metered: Arc::new(metered.clone()),
        cardinality: Arc::new(SqlCardinality::new(store.clone(), node, providers())),
    };

    let gap_log = GapLog::new(store.clone(), Arc::clone(&deciding));
    let sources = license_sources(config, deciding.catalog())?;
    let log = sealing::audit_log(store.clone(), &sources);
    let keeping = sealing::keeping(sources.clone());
    let outbox = crate::mail::outbox(config, store.clone(), keeping.clone())?;
    let post = crate::mail::post(config, &outbox);
    let tenants = Arc::new(Lookup(tenancy.clone()));
    let identity = Identity::new(
        store.clone(),
        application,
        Arc::clone(&tenants) as _,
        permissions(&registry),
        settings::identity(config),
        keeping,
    )
    .context("`identity.password`")?
    .with_mailing(post.clone().map(|post| Mailing { post, invites: settings::invites(policy.clone()) }));
    let site = Arc::new(settings::Site {
        identity: identity.clone(),
        license: license.clone(),
        outbox: outbox.clone(),
    });
    let setup = Setup::new(store.clone(), line.clone(), site, settings::setup(config, application, &outbox));
    let ground = crate::signup::Ground {
        store: store.clone(),
        line: line.clone(),
        identity: identity.clone(),
        application,
        post,
        key: sealing::state_key(&sources),
        decided: settings::decided(policy.clone()),
    };
    let signup = crate::signup::signup(config, ground, &ambient)?;
    let modules = Modules::none()
        .mount(Health)
        .mount(identity.clone())
        .mount(setup.clone())
        .mount(Platform::of(platform::Parts {
            deciding: Arc::clone(&deciding),
            log: log.clone(),
            desk: RequestDesk::of(&sources),
            counters: counters.clone(),
            providers: providers(),
            handed_on: handed_on.clone(),
            gap_log: gap_log.clone(),
            tenants,
            onboarding: Arc::new(crate::signup::Ways::of(config, policy.clone(), &outbox)),
        }))
        .mount(tenancy.clone())
        .mount(signup.clone());
    let modules = program.mount(modules, &store, &line);
    let guards = Guards::none().with(ONBOARDING, ToggledOnboarding { application, policy });
    let calls = Arc::new(Calls::of(Arc::clone(&registry), telemetry.spans()));
    let parts = Parts {
        deciding: Arc::clone(&deciding),
        quotas: Arc::clone(&counters.metered),
        cardinality: Arc::clone(&counters.cardinality),
        outcomes: Arc::clone(&outcomes) as _,
        recorder: recorder.clone(),
        observer: Arc::clone(&calls) as _,
        guards,
        limits: Limits { call: config.server.request_timeout(), ..Limits::STANDARD },
    };
    let bus = Bus::new(Arc::clone(&registry), column(registry.open(modules)?, parts)?);
    line.connect(&bus);
    Ok(Assembly {
        bus,
        ambient,
        license,
        deciding,
        handed_on,
        counters,
        gap_log,
        log,
        recorder,
        outcomes,
        metered,
        identity,
        tenancy,
        setup,
        signup,
        outbox,
        store,
        calls,
        sinks,
        telemetry,
        application,
    })
}

/// Every permission that some command asks for, and the one to act for other tenants. Administrators of tenants hold those
/// that reach no further than their tenant.
fn permissions(registry: &Registry) -> Permissions {
    let asked = registry.entries().filter_map(|(_, entry)| {
        match entry.contract().and_then(Contract::facet::<Access>)?.audience() {
            Audience::Permission(permission) => Some(permission),
            Audience::Public | Audience::Authenticated | Audience::Internal => None,
        }
    });
    Permissions::of_program(asked.chain([http_api::TENANTS_ACT])).within_tenant([
        OPERATORS_READ,
        OPERATORS_WRITE,
        tenancy::TENANTS_READ,
        tenancy::TENANTS_WRITE,
        signup::SIGNUPS_READ,
        signup::SIGNUPS_WRITE,
    ])
}
