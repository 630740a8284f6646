//! A deployment whose operator registers tenants, and another module that has a part in that.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use chancery_tenancy::{
    BootstrapOnly, MIGRATIONS, ONBOARDING, ONBOARDING_READ, ONBOARDING_WRITE, OnboardingPolicy,
    OnboardingToggles, ROOT_TENANTS, Settings, Step, TENANT_DEPTH, TENANTS_READ, TENANTS_WRITE,
    TOTAL_TENANTS, Tenancy, TenancyError, Tenant, TenantCount, ToggledOnboarding,
    children::create::CreateChild, onboarding::update::UpdateOnboarding, tenants::create::CreateTenant,
};
use sdk::{
    kernel::{Authenticated, Fault, Modules},
    prelude::*,
};
use testkit::Testkit;
use uuid::Uuid;

/// The platform's own tenant, which is there before any test is.
pub(crate) const APPLICATION: TenantId = TenantId(Uuid::from_u128(1));

const PREPARED: &[Migration] = &[
    MIGRATIONS[0],
    Migration {
        version: 99_991_231_000_000,
        name: "the application tenant of the tests",
        sql: "INSERT INTO tenancy_tenant VALUES ('00000000-0000-0000-0000-000000000001', 'platform', 'organization',
                  'Platform', NULL, NULL, 0, 'ACTIVE', 1, 0, 0, 0, 'system', 0, 'system', NULL);",
    },
];

pub(crate) struct Deployment {
    pub(crate) testkit: Testkit,
    tenancy: Arc<Mutex<Option<Tenancy>>>,
    line: Line,
    pub(crate) owners: Owners,
}

/// With these settings, under a license for everything but features.
pub(crate) fn deployment(settings: impl Fn(&mut Settings) + Send + Sync + 'static) -> Deployment {
    guarded(settings, |policy| ToggledOnboarding { application: APPLICATION, policy })
}

/// Under the policy that is there when no other is chosen.
pub(crate) fn bootstrapping_only() -> Deployment {
    guarded(|_| {}, |_| BootstrapOnly)
}

fn guarded<G: Guard + Clone>(
    settings: impl Fn(&mut Settings) + Send + Sync + 'static,
    guard: impl FnOnce(OnboardingPolicy) -> G,
) -> Deployment {
    let (tenancy, line, owners) = (Arc::new(Mutex::new(None)), Line::default(), Owners::default());
    let policy = OnboardingPolicy::closed();
    let mount = {
        let (tenancy, line, owners, policy) =
            (Arc::clone(&tenancy), line.clone(), owners.clone(), policy.clone());
        move |store: &Store| {
            let mut settled = Settings { line: line.clone(), policy: policy.clone(), ..Settings::none() };
            settings(&mut settled);
            let made = Tenancy::new(store.clone(), APPLICATION, settled);
            *tenancy.lock().unwrap() = Some(made.clone());
            Modules::none().mount(made).mount(owners.clone())
        }
    };
    let testkit = Testkit::new(PREPARED, mount)
        .of_tenant(APPLICATION)
        .guarded(ONBOARDING, guard(policy))
        .permitted(TENANTS_READ)
        .permitted(TENANTS_WRITE)
        .permitted(ONBOARDING_READ)
        .permitted(ONBOARDING_WRITE)
        .counting(ROOT_TENANTS, TenantCount::Root)
        .counting(TOTAL_TENANTS, TenantCount::Total)
        .counting(TENANT_DEPTH, TenantCount::Depth)
        .licensed("chancery")
        .limiting(ROOT_TENANTS, 100)
        .limiting(TOTAL_TENANTS, 100)
        .limiting(TENANT_DEPTH, 10);
    Deployment { testkit, tenancy, line, owners }
}

impl Deployment {
    pub(crate) fn with(mut self, change: impl FnOnce(Testkit) -> Testkit) -> Self {
        self.testkit = change(self.testkit);
        self
    }

    /// Puts it together, as the server does.
    pub(crate) async fn start(self) -> Self {
        self.line.connect(&self.testkit.bus().await);
        self.tenancy().refresh().await.unwrap();
        self
    }

    pub(crate) fn tenancy(&self) -> Tenancy {
        self.tenancy.lock().unwrap().clone().unwrap()
    }

    pub(crate) async fn root(&self, slug: &str) -> Tenant {
        self.testkit.run(create(slug)).await.unwrap()
    }

    pub(crate) async fn decide(&self, decision: UpdateOnboarding) -> OnboardingToggles {
        self.testkit.run(decision).await.unwrap()
    }

    /// A call by somebody of this tenant who may read and write tenants.
    pub(crate) fn by(&self, home: Option<TenantId>) -> Cx {
        let ambient = self.testkit.cx().ambient().clone();
        let who = Authenticated {
            id: "operator:elsewhere".to_owned(),
            home,
            permissions: [TENANTS_READ, TENANTS_WRITE, ONBOARDING_READ, ONBOARDING_WRITE]
                .map(Permission::as_str)
                .into(),
            aal: 1,
            authenticated_at: ambient.now(),
            session: None,
        };
        let cx = Cx::new(ambient, Principal::Authenticated(who.into()));
        match home {
            Some(home) => cx.with_tenant(home),
            None => cx,
        }
    }

    /// A call by the process itself.
    pub(crate) fn by_itself(&self) -> Cx {
        Cx::new(self.testkit.cx().ambient().clone(), Principal::System).with_tenant(APPLICATION)
    }
}

pub(crate) fn create(slug: &str) -> CreateTenant {
    CreateTenant {
        slug: slug.parse().unwrap(),
        name: None,
        description: None,
        tenant_type: None,
        source: None,
        id: None,
    }
}

pub(crate) fn child(parent: &Tenant, slug: &str) -> CreateChild {
    let slug = slug.parse().unwrap();
    CreateChild {
        tenant_id: parent.id,
        slug,
        name: None,
        description: None,
        tenant_type: None,
        source: None,
        id: None,
    }
}

#[track_caller]
pub(crate) fn failed<E: std::fmt::Debug>(fault: Fault<E>) -> E {
    match fault {
        Fault::Failed(error) => error,
        fault => panic!("the handler did not run: {fault:?}"),
    }
}

#[track_caller]
pub(crate) fn code(fault: Fault<TenancyError>) -> &'static str {
    failed(fault).code()
}

/// A module that gives every new tenant an owner, and takes it away again.
#[derive(Clone, Default)]
pub(crate) struct Owners(pub(crate) Arc<Behaviour>);

#[derive(Default)]
pub(crate) struct Behaviour {
    pub(crate) refuses: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) keeps: AtomicBool,
    pub(crate) provided: Mutex<Vec<TenantId>>,
}

pub(crate) const STEP: Step =
    Step { id: "owner-provisioned", run: "owners.owner.provide", undo: Some("owners.owner.withdraw") };

impl Module for Owners {
    const NAME: &'static str = "owners";
    const PRODUCT: &'static str = "chancery";
    type Error = Unwilling;
}

#[derive(Debug, thiserror::Error)]
#[error("not today")]
pub(crate) struct Unwilling;

impl Problem for Unwilling {
    fn code(&self) -> &'static str {
        "unwilling"
    }

    fn category(&self) -> Category {
        Category::Unavailable
    }
}

/// Give a tenant an owner.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("owners.owner.provide", Owners -> ())]
#[access(internal)]
#[license(internal_system)]
pub(crate) struct Provide {
    tenant_id: TenantId,
    registration_id: String,
}

/// Take a tenant's owner away.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("owners.owner.withdraw", Owners -> ())]
#[access(internal)]
#[license(internal_system)]
pub(crate) struct Withdraw {
    tenant_id: TenantId,
    registration_id: String,
}

impl Handle<Provide> for Owners {
    async fn handle(&self, _cx: &Cx, command: Provide) -> Result<(), Unwilling> {
        assert!(!command.registration_id.is_empty());
        self.0.provided.lock().unwrap().push(command.tenant_id);
        if self.0.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.refuses.load(Ordering::SeqCst) { Err(Unwilling) } else { Ok(()) }
    }
}

impl Handle<Withdraw> for Owners {
    async fn handle(&self, _cx: &Cx, command: Withdraw) -> Result<(), Unwilling> {
        assert!(!command.registration_id.is_empty());
        if self.0.keeps.load(Ordering::SeqCst) {
            return Err(Unwilling);
        }
        self.0.provided.lock().unwrap().retain(|tenant| *tenant != command.tenant_id);
        Ok(())
    }
}
