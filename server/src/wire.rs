//! The whole assembly on one page: which modules there are, what stands before them, and where things are kept.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use audit::{AuditLog, Recorder, Seal, SqlSink};
use config::{Config, ConfigError, Origin};
use descriptors::{
    access::{Access, Audience},
    catalog::Catalog,
    coverage::{CoveragePolicy, GapMode},
    descriptor::DeploymentShape,
    grant::LicenseStatus,
};
use envelope::{StateKey, oid::ObjectIdentifier};
use health::Health;
use identity::{
    Allowance, Identity, OPERATORS_READ, OPERATORS_WRITE, PasswordSettings, Permissions, Safe,
    SessionSettings, Settings, ThrottleSettings,
};
use jiff::Timestamp;
use kernel::{Ambient, Bus, Contract, Line, Modules, Registry, TenantId};
use license::{Memory, RequestDesk, RunningLicense, Sources};
use pipeline::{Counters, Deciding, Guards, Limits, Parts, column};
use platform::{HandedOn, Platform};
use quota::{Providers, SqlCardinality, SqlOutcomes, SqlQuota};
use secrecy::ExposeSecret;
use setup::{Facts, Setup};
use store::{Migration, Options, Store};
use tenancy::{Dns, ONBOARDING, OnboardingPolicy, Tenancy, ToggledOnboarding};

/// A program that is put together and can be called.
pub(crate) struct Assembly {
    pub(crate) bus: Bus,
    pub(crate) ambient: Ambient,
    pub(crate) license: RunningLicense,
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) handed_on: HandedOn,
    pub(crate) counters: Counters,
    pub(crate) log: AuditLog,
    pub(crate) recorder: Recorder,
    pub(crate) outcomes: Arc<SqlOutcomes>,
    pub(crate) identity: Identity,
    pub(crate) tenancy: Tenancy,
    pub(crate) setup: Setup,
    pub(crate) store: Store,
    /// The tenant that operators of the platform belong to.
    pub(crate) application: TenantId,
}

/// The tables of everything that is mounted below.
pub(crate) fn migrations() -> Vec<Migration> {
    [
        audit::MIGRATIONS,
        license::MIGRATIONS,
        quota::MIGRATIONS,
        identity::MIGRATIONS,
        setup::MIGRATIONS,
        tenancy::MIGRATIONS,
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
    Store::open(config.database.url.expose_secret(), options).await.context("failed to open the database")
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
    Ok(Arc::new(Deciding::new(registry, catalog, policy, shape, deployment, license.clone())))
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

/// Where licenses come from, by configuration, with the policies under which partners sign for our products.
pub(crate) fn license_sources(config: &Config, catalog: &Catalog) -> anyhow::Result<Sources> {
    let stated =
        catalog.products().filter_map(|product| Some((product.id.clone(), product.policy.as_deref()?)));
    let policies = stated.map(|(product, policy)| {
        let policy = ObjectIdentifier::new(policy)
            .map_err(|error| anyhow::anyhow!("the policy of product `{product}`: {error}"))?;
        Ok((product, policy))
    });
    Ok(config.license_sources(policies.collect::<anyhow::Result<_>>()?))
}

/// Opens the configured database to look at it: one that is not there is not made, and is an error.
pub(crate) async fn look_at_store(config: &Config) -> anyhow::Result<Store> {
    let url = config.database.url.expose_secret();
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
pub(crate) async fn assemble(
    config: &Config,
    store: Store,
    license: RunningLicense,
    ambient: Ambient,
) -> anyhow::Result<Assembly> {
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
    let tenancy = Tenancy::new(store.clone(), application, tenants(config, &line, policy.clone())?);
    tenancy.refresh().await.context("failed to read the onboarding policy")?;
    let recorder = Recorder::start(SqlSink::new(store.clone()), audit::Limits::default());
    let node = ambient.uuid();
    let outcomes = Arc::new(SqlOutcomes::new(store.clone(), node));
    let counters = Counters {
        metered: Arc::new(SqlQuota::new(store.clone(), node)),
        cardinality: Arc::new(SqlCardinality::new(store.clone(), node, providers())),
        windows: Limits::STANDARD.windows,
    };

    let sources = license_sources(config, deciding.catalog())?;
    let log = audit_log(store.clone(), &sources);
    let safe = state_key(&sources).map(|key| Arc::new(DeploymentSafe(key)) as Arc<dyn Safe>);
    if safe.is_none() {
        tracing::warn!("there is no recipient key: secrets of second factors are kept unencrypted");
    }
    let identity =
        Identity::new(store.clone(), application, permissions(&registry), identity_settings(config), safe)
            .context("`identity.password`")?;
    let site = Arc::new(Running { identity: identity.clone(), license: license.clone() });
    let setup = Setup::new(store.clone(), line.clone(), site, setup_facts(config, application));
    let modules = Modules::none()
        .mount(Health)
        .mount(identity.clone())
        .mount(setup.clone())
        .mount(Platform::new(
            Arc::clone(&deciding),
            log.clone(),
            RequestDesk::of(&sources),
            counters.clone(),
            providers(),
            handed_on.clone(),
        ))
        .mount(tenancy.clone());
    let guards = Guards::none().with(ONBOARDING, ToggledOnboarding { application, policy });
    let parts = Parts {
        deciding: Arc::clone(&deciding),
        quotas: Arc::clone(&counters.metered),
        cardinality: Arc::clone(&counters.cardinality),
        outcomes: Arc::clone(&outcomes) as _,
        recorder: recorder.clone(),
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
        log,
        recorder,
        outcomes,
        identity,
        tenancy,
        setup,
        store,
        application,
    })
}

/// Where tenants are found, and who proves their domains, by configuration.
fn tenants(config: &Config, line: &Line, policy: OnboardingPolicy) -> Result<tenancy::Settings, ConfigError> {
    let config::Tenant { platform_domain, resolution, dns } = &config.tenant;
    let own = config.server.public_url.as_ref().and_then(|url| url.host_str());
    Ok(tenancy::Settings {
        platform_domain: parsed("tenant.platform-domain", platform_domain.as_deref())?,
        custom_domains: resolution.custom_domains,
        self_tenant: parsed("tenant.resolution.self-tenant", resolution.self_tenant.as_deref())?,
        own_hosts: own.map(str::to_owned).into_iter().collect(),
        txt: Arc::new(Dns::asking(dns.servers.clone())),
        policy,
        line: line.clone(),
        steps: Vec::new(),
    })
}

/// A value of the configuration in its own type.
fn parsed<T>(key: &str, text: Option<&str>) -> Result<Option<T>, ConfigError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let parsed = text.map(str::parse::<T>).transpose();
    parsed.map_err(|error| ConfigError::Refused {
        origin: Origin::Key(key.to_owned()),
        message: error.to_string(),
    })
}

/// The audit log, sealed under a key that only this deployment has. Without a recipient key there is none, and the log says
/// of itself that it is not sealed.
fn audit_log(store: Store, sources: &Sources) -> AuditLog {
    let log = AuditLog::new(store);
    match state_key(sources) {
        Some(key) => log.sealed_by(DeploymentSeal(key)),
        None => log,
    }
}

/// The key that only this deployment has, derived from the one that licenses are sealed to.
fn state_key(sources: &Sources) -> Option<StateKey> {
    let recipient = sources.recipient.as_ref().and_then(|key| key.read().ok().flatten());
    recipient.and_then(|recipient| recipient.state_key().ok())
}

/// The deployment's own key, as the port of operators wants it.
struct DeploymentSafe(StateKey);

impl Safe for DeploymentSafe {
    fn seal(&self, label: &str, content: &[u8]) -> String {
        self.0.seal(label, content)
    }

    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        self.0.open(label, sealed)
    }
}

/// What setup looks at.
struct Running {
    identity: Identity,
    license: RunningLicense,
}

impl setup::Site for Running {
    fn is_administered(&self) -> setup::BoxFuture<'_, Result<bool, identity::IdentityError>> {
        Box::pin(self.identity.is_administered())
    }

    fn is_licensed(&self) -> bool {
        matches!(
            self.license.snapshot().status(),
            LicenseStatus::Active | LicenseStatus::Grace | LicenseStatus::Recovery
        )
    }
}

fn setup_facts(config: &Config, application: TenantId) -> Facts {
    let needed = [
        ("server.public-url", config.server.public_url.is_some()),
        ("license.recipient", config.license.recipient.is_some()),
        ("license.trust.root-ca-bundle-path", config.license.trust.root_ca_bundle_path.is_some()),
    ];
    let missing = needed.into_iter().filter(|(_, set)| !set).map(|(key, _)| key.to_owned());
    Facts {
        application,
        public_url: config.server.public_url.clone(),
        missing_keys: missing.collect(),
        email_configured: false,
    }
}

fn identity_settings(config: &Config) -> Settings {
    let config::Identity { require_second_factor, action_lifetime, password, session, throttle } =
        &config.identity;
    let host = config.server.public_url.as_ref().and_then(url::Url::host_str);
    Settings {
        password: PasswordSettings {
            memory_kib: password.memory_kib.get(),
            iterations: password.iterations.get(),
            parallelism: password.parallelism.get(),
            threads: password.threads.get() as usize,
            queue: password.queue as usize,
        },
        session: SessionSettings { idle: session.idle, absolute: session.absolute },
        throttle: ThrottleSettings {
            account: Allowance { burst: throttle.account_burst.get(), period: throttle.account_period },
            address: Allowance { burst: throttle.address_burst.get(), period: throttle.address_period },
        },
        action_lifetime: *action_lifetime,
        require_second_factor: *require_second_factor,
        issuer: format!("Chancery {}", host.unwrap_or(&config.deployment.id)),
    }
}

/// The deployment's own key, as the audit's port wants it.
struct DeploymentSeal(StateKey);

impl Seal for DeploymentSeal {
    fn protect(&self, label: &str, content: &str) -> String {
        self.0.protect(label, content)
    }

    fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str> {
        self.0.check(label, note)
    }
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
    Permissions::of_program(asked.chain([http_api::TENANTS_ACT]))
        .within_tenant([OPERATORS_READ, OPERATORS_WRITE])
}
