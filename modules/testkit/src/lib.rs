//! A module author's one dev-dependency: the real pipeline, under a license that the test states.
//!
//! Nothing is mocked. The license is signed and sealed by a development authority and verified like any other; the
//! database is a SQLite file of the test's own; quotas, outcomes and audit events are kept in memory.
//!
//! ```
//! use chancery_testkit::{Reason, Testkit, reason};
//! use kernel::Modules;
//! use sdk::prelude::*;
//!
//! struct Greeting;
//!
//! impl Module for Greeting {
//!     const NAME: &'static str = "greeting";
//!     const PRODUCT: &'static str = "chancery";
//!     type Error = std::convert::Infallible;
//! }
//!
//! /// Greet someone.
//! #[derive(Command, Serialize, Deserialize, JsonSchema)]
//! #[command("greeting.people.greet", Greeting -> String)]
//! #[access(authenticated)]
//! #[license]
//! struct Greet {}
//!
//! impl Handle<Greet> for Greeting {
//!     async fn handle(&self, _cx: &Cx, _command: Greet) -> Result<String, Self::Error> {
//!         Ok("Good day".to_owned())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let testkit = Testkit::new(&[], |_store| Modules::none().mount(Greeting));
//! let fault = testkit.run(Greet {}).await.unwrap_err();
//! assert_eq!(reason(&fault), Some(Reason::LicenseMissing));
//!
//! let testkit = testkit.granting("chancery.greeting.**");
//! assert_eq!(testkit.run(Greet {}).await.unwrap(), "Good day");
//! # }
//! ```

mod bench;
mod clock;

use std::{collections::BTreeSet, future::Future, pin::Pin, sync::Arc};

use audit::{Event, Recorder};
use descriptors::{
    access::{GuardedBy, Permission},
    catalog::Catalog,
    coverage::{AllowlistEntry, Allowlisted, CoveragePolicy, GapMode},
    descriptor::{DeploymentShape, FeatureKey, LicenseDescriptor, Quota},
    grant::{FeatureValue, Grant, Pattern, ProductGrant},
};
use jiff::{SignedDuration, Timestamp};
use kernel::{
    Authenticated, BoxProblem, Bus, Command, Commands, Contract, Cx, Entry, Fault, Guard, IdempotencyKey,
    Module, Modules, Principal, Registry, TenantId,
};
use pipeline::Deciding;
use quota::{CardinalityProvider, Providers, Windows};
use serde_json::Value;
use store::{Migration, Store};
use tokio::sync::OnceCell;

use crate::bench::Bench;
use crate::clock::TestClock;

pub use descriptors::denial::Reason;

type Mount = Arc<dyn Fn(Ground) -> Pin<Box<dyn Future<Output = Modules> + Send>> + Send + Sync>;
type MakeGuard = Arc<dyn Fn() -> Arc<dyn Guard> + Send + Sync>;
type MakeCommands = Arc<dyn Fn() -> Commands + Send + Sync>;

/// The real pipeline over some modules. What it is told decides what its calls meet; calls of one value share state.
pub struct Testkit {
    pub(crate) migrations: &'static [Migration],
    pub(crate) database: Option<String>,
    pub(crate) mount: Mount,
    pub(crate) commands: MakeCommands,
    pub(crate) guards: Vec<(GuardedBy, MakeGuard)>,
    pub(crate) providers: Providers,
    pub(crate) grant: Option<Grant>,
    pub(crate) catalog: Option<Catalog>,
    pub(crate) policy: CoveragePolicy,
    pub(crate) shape: DeploymentShape,
    pub(crate) windows: Windows,
    pub(crate) clock: TestClock,
    pub(crate) recorder: Option<Recorder>,
    caller: Caller,
    permissions: BTreeSet<&'static str>,
    tenant: TenantId,
    bench: OnceCell<Bench>,
}

/// What modules are constructed on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// A fresh database, with the migrations in it.
    pub store: Store,
    /// What decisions are made from.
    pub deciding: Arc<Deciding>,
    /// The present instant of the test.
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Anonymous,
    System,
    Operator,
}

/// The reason of a denial, where a fault is one.
pub fn reason<E>(fault: &Fault<E>) -> Option<Reason> {
    pipeline::denial(fault).map(|denial| denial.reason)
}

/// A test that every command of a module says what it asks of the license. What deliberately does not is named, and the
/// names may only become fewer: `every_command_is_described!(Health, except "health.live.check")`.
#[macro_export]
macro_rules! every_command_is_described {
    ($module:ty $(, except $($id:literal),+)?) => {
        #[test]
        fn every_command_is_described() {
            $crate::assert_every_command_is_described::<$module>(&[$($($id),+)?]);
        }
    };
}

/// What [`every_command_is_described!`] tests.
///
/// # Panics
///
/// When a command of the module has no sound descriptor and is not named, or has one and is; and when the test links no
/// command of the module at all.
pub fn assert_every_command_is_described<M: Module>(but: &[&str]) {
    let registry = Registry::linked().expect("commands that fit together");
    let entries: Vec<_> =
        registry.entries().map(|(_, entry)| entry).filter(|it| it.id().module() == M::NAME).collect();
    assert!(!entries.is_empty(), "no command of module `{}` is linked into this test", M::NAME);
    let described = |it: &Entry| it.contract().and_then(Contract::facet::<LicenseDescriptor>).is_some();
    let undescribed = entries.into_iter().filter(|entry| !described(entry));
    let undescribed: BTreeSet<_> = undescribed.map(|entry| entry.id().as_str()).collect();
    let named: BTreeSet<_> = but.iter().copied().collect();
    let forgotten: Vec<_> = undescribed.difference(&named).collect();
    assert!(forgotten.is_empty(), "write `#[license(…)]` on {forgotten:?}");
    let closed: Vec<_> = named.difference(&undescribed).collect();
    assert!(closed.is_empty(), "described now, or gone; no exception any more: {closed:?}");
}

impl Testkit {
    /// Over the modules that `mount` constructs on a fresh database. No license, gaps denied, called by an operator
    /// without permissions on behalf of a tenant.
    pub fn new(
        migrations: &'static [Migration],
        mount: impl Fn(&Store) -> Modules + Send + Sync + 'static,
    ) -> Self {
        Self::over(migrations, move |ground| {
            let modules = mount(&ground.store);
            async move { modules }
        })
    }

    /// The same over modules that need more than a database, or wait for something when they are constructed.
    pub fn over<M: Future<Output = Modules> + Send + 'static>(
        migrations: &'static [Migration],
        mount: impl Fn(Ground) -> M + Send + Sync + 'static,
    ) -> Self {
        let clock = TestClock::at("2026-01-15T12:00:00Z".parse().expect("an instant"));
        Self {
            migrations,
            database: None,
            mount: Arc::new(move |ground| Box::pin(mount(ground))),
            commands: Arc::new(Commands::none),
            guards: Vec::new(),
            providers: Providers::none(),
            grant: None,
            catalog: None,
            policy: CoveragePolicy::strict(),
            shape: DeploymentShape::stating([]),
            windows: Windows::OfLicense,
            caller: Caller::Operator,
            permissions: BTreeSet::new(),
            tenant: TenantId(clock.ambient().uuid()),
            clock,
            recorder: None,
            bench: OnceCell::new(),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.bench = OnceCell::new();
        self
    }

    fn license(self, change: impl FnOnce(&mut Grant)) -> Self {
        self.change(|testkit| change(testkit.grant.get_or_insert_with(Grant::nothing)))
    }

    /// Under a license with this allow rule, such as `chancery.tenancy.**`.
    ///
    /// # Panics
    ///
    /// When the rule does not parse.
    #[must_use]
    pub fn granting(self, rule: &str) -> Self {
        let rule = Pattern::parse(rule).expect("a rule over entitlement keys");
        self.license(|grant| grant.commands.allow.push(rule))
    }

    /// Under a license with this deny rule.
    ///
    /// # Panics
    ///
    /// When the rule does not parse.
    #[must_use]
    pub fn denying(self, rule: &str) -> Self {
        let rule = Pattern::parse(rule).expect("a rule over entitlement keys");
        self.license(|grant| grant.commands.deny.push(rule))
    }

    /// Under a license for this product, all modules of it.
    #[must_use]
    pub fn licensed(self, product: &str) -> Self {
        let product = product.to_owned();
        self.license(|grant| {
            grant.products.insert(product, ProductGrant { edition: "test".to_owned(), modules: None });
        })
    }

    /// Under a license with this feature switched on.
    #[must_use]
    pub fn featuring(self, feature: FeatureKey<'_>) -> Self {
        self.license(|grant| {
            grant.features.insert(feature.to_string(), FeatureValue::Boolean(true));
        })
    }

    /// Under a license with this limit.
    #[must_use]
    pub fn limiting(self, quota: Quota<'_>, limit: u64) -> Self {
        self.license(|grant| {
            grant.quotas.insert(quota.key.to_string(), limit);
        })
    }

    /// Called by an operator who also holds this permission.
    #[must_use]
    pub fn permitted(self, permission: Permission) -> Self {
        self.change(|testkit| {
            testkit.permissions.insert(permission.as_str());
        })
    }

    /// On behalf of this tenant, to which the operator belongs.
    #[must_use]
    pub fn of_tenant(self, tenant: TenantId) -> Self {
        self.change(|testkit| testkit.tenant = tenant)
    }

    /// Called by nobody known.
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.change(|testkit| testkit.caller = Caller::Anonymous)
    }

    /// Called by the process itself.
    #[must_use]
    pub fn as_system(self) -> Self {
        self.change(|testkit| testkit.caller = Caller::System)
    }

    /// In this database, which is empty, and not in a SQLite file of its own.
    #[must_use]
    pub fn in_database(self, url: &str) -> Self {
        self.change(|testkit| testkit.database = Some(url.to_owned()))
    }

    /// With gaps warned of instead of denied.
    #[must_use]
    pub fn warning(self) -> Self {
        self.change(|testkit| testkit.policy.gaps = GapMode::Warn)
    }

    /// With commands under this prefix on the allowlist.
    #[must_use]
    pub fn allowlisting(self, prefix: &str, reason: &str) -> Self {
        let entry =
            AllowlistEntry { names: Allowlisted::Prefix(prefix.to_owned()), reason: reason.to_owned() };
        self.change(|testkit| testkit.policy.allowlist.push(entry))
    }

    /// In a deployment that states this.
    #[must_use]
    pub fn shaped(self, shape: DeploymentShape) -> Self {
        self.change(|testkit| testkit.shape = shape)
    }

    /// With windows of metered quotas that begin there, and not with the license.
    #[must_use]
    pub fn windowed(self, windows: Windows) -> Self {
        self.change(|testkit| testkit.windows = windows)
    }

    /// With this policy installed under the name that commands use for it.
    #[must_use]
    pub fn guarded<G: Guard + Clone>(self, policy: GuardedBy, guard: G) -> Self {
        let make: MakeGuard = Arc::new(move || Arc::new(guard.clone()));
        self.change(|testkit| testkit.guards.push((policy, make)))
    }

    /// With this provider counting the live things of a quota, in the test's database.
    #[must_use]
    pub fn counting(self, quota: Quota<'_>, provider: impl CardinalityProvider + 'static) -> Self {
        self.change(|testkit| {
            let providers = std::mem::replace(&mut testkit.providers, Providers::none());
            testkit.providers = providers.with(quota.key.as_str(), provider);
        })
    }

    /// With commands known at run time, too.
    #[must_use]
    pub fn with_commands(self, commands: impl Fn() -> Commands + Send + Sync + 'static) -> Self {
        self.change(|testkit| testkit.commands = Arc::new(commands))
    }

    /// With this catalog instead of the one linked into the test.
    #[must_use]
    pub fn with_catalog(self, catalog: Catalog) -> Self {
        self.change(|testkit| testkit.catalog = Some(catalog))
    }

    /// With events handed in there, and not kept for [`events`](Self::events).
    #[must_use]
    pub fn recording_to(self, recorder: Recorder) -> Self {
        self.change(|testkit| testkit.recorder = Some(recorder))
    }

    /// Lets time pass.
    pub fn pass(&self, time: SignedDuration) {
        self.clock.pass(time);
        if let Some(bench) = self.bench.get() {
            bench.license.refresh(self.now());
        }
    }

    /// The present instant of the test.
    pub fn now(&self) -> Timestamp {
        self.clock.ambient().now()
    }

    /// The tenant on whose behalf calls are made.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// What surrounds a call.
    pub fn cx(&self) -> Cx {
        let principal = match self.caller {
            Caller::Anonymous => Principal::Anonymous,
            Caller::System => Principal::System,
            Caller::Operator => Principal::Authenticated(Arc::new(Authenticated {
                id: "operator:test".to_owned(),
                home: Some(self.tenant),
                permissions: self.permissions.clone(),
                aal: 1,
                authenticated_at: self.now(),
                session: None,
            })),
        };
        Cx::new(self.clock.ambient(), principal).with_tenant(self.tenant)
    }

    /// Runs a command through every gate.
    pub async fn run<C: Command>(
        &self,
        command: C,
    ) -> Result<C::Output, Fault<<C::Module as Module>::Error>> {
        self.run_in(self.cx(), command).await
    }

    /// Runs a command in a context of the test's own making.
    pub async fn run_in<C: Command>(
        &self,
        cx: Cx,
        command: C,
    ) -> Result<C::Output, Fault<<C::Module as Module>::Error>> {
        self.bench().await.bus.dispatch(cx, command).await
    }

    /// Runs a command under an idempotency key.
    ///
    /// # Panics
    ///
    /// When the key is not one.
    pub async fn run_once<C: Command>(
        &self,
        key: &str,
        command: C,
    ) -> Result<C::Output, Fault<<C::Module as Module>::Error>> {
        let key = IdempotencyKey::parse(key).expect("an idempotency key");
        self.run_in(self.cx().with_idempotency_key(key), command).await
    }

    /// Runs a command by id.
    pub async fn run_json(&self, id: &str, input: Value) -> Result<Value, Fault<BoxProblem>> {
        self.bench().await.bus.dispatch_json(self.cx(), id, input).await
    }

    /// The bus itself.
    pub async fn bus(&self) -> Bus {
        self.bench().await.bus.clone()
    }

    /// What decisions are made from: what is handed on to tenants is stated here, and decisions are explained.
    pub async fn deciding(&self) -> Arc<Deciding> {
        Arc::clone(&self.bench().await.deciding)
    }

    /// What was audited so far.
    pub async fn events(&self) -> Vec<Event> {
        let bench = self.bench().await;
        bench.recorder.flush().await;
        bench.events.events()
    }

    async fn bench(&self) -> &Bench {
        self.bench.get_or_init(|| Bench::open(self)).await
    }
}
