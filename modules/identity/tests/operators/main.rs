//! Operators, through the real pipeline: how they are invited, sign in, and are kept apart.

mod accounts;
mod links;
mod second_factor;
mod sessions;
mod sign_in;

use std::sync::{Arc, Mutex};

use chancery_identity::{
    Allowance, Credential, Delivery, GivenAction, Homes, Identity, IdentityError, MIGRATIONS, Mailing,
    OPERATORS_READ, OPERATORS_WRITE, PasswordSettings, Permissions, Role, Secret, SessionSettings, Settings,
    SignedIn, ThrottleSettings,
    actions::{complete::CompleteAction, create::CreateAction},
    operators::create::{CreateOperator, InvitedOperator},
    sessions::create::CreateSession,
};
use jiff::SignedDuration;
use sdk::{
    kernel::{Command, Fault, Modules},
    prelude::*,
    secrets::Keeping,
};
use testkit::Testkit;

const PASSWORD: &str = "correct horse battery";
const APPLICATION: TenantId = TenantId(uuid::Uuid::from_u128(1));
const ACME: TenantId = TenantId(uuid::Uuid::from_u128(2));
const GLOBEX: TenantId = TenantId(uuid::Uuid::from_u128(3));

fn settings() -> Settings {
    Settings {
        password: PasswordSettings { memory_kib: 16, iterations: 1, parallelism: 1, threads: 2, queue: 8 },
        session: SessionSettings {
            idle: SignedDuration::from_mins(30),
            absolute: SignedDuration::from_hours(2),
        },
        throttle: ThrottleSettings {
            account: Allowance { burst: 3, period: SignedDuration::from_mins(5) },
            address: Allowance { burst: 5, period: SignedDuration::from_mins(1) },
        },
        ..Settings::STANDARD
    }
}

/// The module behind the real gates, and the module itself, as the adapter has it.
struct Deployment {
    testkit: Testkit,
    identity: Arc<Mutex<Option<Identity>>>,
    standing: Standing,
}

/// The tenants that may not act.
#[derive(Clone, Default)]
struct Standing(Arc<Mutex<Vec<TenantId>>>);

impl Homes for Standing {
    fn may_act(&self, tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>> {
        let may = !self.0.lock().unwrap().contains(&tenant);
        Box::pin(async move { Ok(may) })
    }
}

/// A token that nobody mailed.
fn told(given: &GivenAction) -> Secret {
    match &given.delivery {
        Delivery::Manual { token, .. } => token.clone(),
        Delivery::Queued { .. } => panic!("it was mailed"),
    }
}

fn give(name: &str) -> CreateAction {
    CreateAction { name: name.to_owned(), delivery_method: None }
}

impl Deployment {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        Self::posting(settings, None)
    }

    fn posting(settings: Settings, mailing: Option<Mailing>) -> Self {
        let identity = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&identity);
        let standing = Standing::default();
        let homes = Arc::new(standing.clone());
        let testkit = Testkit::new(MIGRATIONS, move |store| {
            let all = [OPERATORS_READ, OPERATORS_WRITE, Permission::new("tenants.read")];
            let permissions = Permissions::of_program(all).within_tenant([OPERATORS_READ, OPERATORS_WRITE]);
            let keeping = Keeping::within(None);
            let made = Identity::new(
                store.clone(),
                APPLICATION,
                homes.clone(),
                permissions,
                settings.clone(),
                keeping,
            );
            let made = made.unwrap().with_mailing(mailing.clone());
            *kept.lock().unwrap() = Some(made.clone());
            Modules::none().mount(made)
        });
        Self { testkit: testkit.warning(), identity, standing }
    }

    fn cx(&self, principal: Principal) -> Cx {
        Cx::new(self.testkit.cx().ambient().clone(), principal)
    }

    async fn run<C: Command<Module = Identity>>(
        &self,
        principal: Principal,
        command: C,
    ) -> Result<C::Output, IdentityError> {
        match self.testkit.run_in(self.cx(principal), command).await {
            Ok(output) => Ok(output),
            Err(Fault::Failed(error)) => Err(error),
            Err(fault) => panic!("{fault}"),
        }
    }

    async fn refused<C: Command<Module = Identity>>(&self, principal: Principal, command: C) -> &'static str {
        match self.testkit.run_in(self.cx(principal), command).await {
            Err(Fault::Refused(refusal)) => refusal.code,
            Err(fault) => panic!("{fault}"),
            Ok(_) => panic!("it ran"),
        }
    }

    async fn invite(&self, name: &str, role: Role, home: TenantId) -> InvitedOperator {
        let wanted = CreateOperator {
            name: name.to_owned(),
            email: None,
            display_name: None,
            role,
            home: Some(home),
            delivery_method: None,
        };
        self.run(Principal::System, wanted).await.unwrap()
    }

    /// An operator with a password.
    async fn operator(&self, name: &str, role: Role, home: TenantId) {
        let invited = self.invite(name, role, home).await;
        self.complete(told(&invited.activation), PASSWORD).await.unwrap();
    }

    async fn complete(&self, token: Secret, password: &str) -> Result<(), IdentityError> {
        let completing = CompleteAction { token, password: password.into() };
        self.run(Principal::Anonymous, completing).await.map(drop)
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<SignedIn, IdentityError> {
        self.run(Principal::Anonymous, attempt(name, password, None)).await
    }

    async fn admin(&self) -> Principal {
        self.operator("ada", Role::PlatformAdmin, APPLICATION).await;
        let session = self.sign_in("ada", PASSWORD).await.unwrap();
        self.of(Credential::Session(session.session_token.expose())).await.unwrap()
    }

    async fn of(&self, credential: Credential<'_>) -> Option<Principal> {
        self.testkit.bus().await;
        let identity = self.identity.lock().unwrap().clone().unwrap();
        let ambient = self.testkit.cx().ambient().clone();
        identity.authenticate(&ambient, credential).await.unwrap()
    }

    async fn in_session(&self, session: &SignedIn) -> Option<Principal> {
        self.of(Credential::Session(session.session_token.expose())).await
    }
}

fn attempt(name: &str, password: &str, code: Option<&str>) -> CreateSession {
    CreateSession { name: name.to_owned(), password: password.into(), code: code.map(Into::into) }
}

fn held(principal: &Principal) -> (u8, Vec<&'static str>) {
    let Principal::Authenticated(who) = principal else { panic!("an operator is authenticated") };
    (who.aal, who.permissions.iter().copied().collect())
}
