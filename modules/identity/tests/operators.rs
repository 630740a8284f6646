//! Operators, through the real pipeline: how they are invited, sign in, and are kept apart.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use chancery_identity::{
    Allowance, Credential, Delivery, DeliveryMethod, GivenAction, Homes, Identity, IdentityError, MIGRATIONS,
    Mailing, OPERATORS_READ, OPERATORS_WRITE, OperatorStatus, PasswordSettings, Permissions, Purpose, Role,
    Secret, SessionSettings, Settings, SignedIn, ThrottleSettings,
    actions::{complete::CompleteAction, create::CreateAction, resolve::ResolveAction},
    csrf_token,
    operators::{
        create::{CreateOperator, InvitedOperator},
        disable::DisableOperator,
        enable::EnableOperator,
        list::ListOperators,
        show::ShowOperator,
        update::UpdateOperator,
        whoami::WhoAmI,
    },
    password::change::ChangePassword,
    sessions::{create::CreateSession, delete::DeleteSession, list::ListSessions, revoke::RevokeSession},
    tokens::{create::CreateToken, list::ListTokens, revoke::RevokeToken},
    totp::{confirm::ConfirmTotp, enroll::EnrollTotp, remove::RemoveTotp},
};
use jiff::{SignedDuration, Timestamp};
use sdk::{
    kernel::{Command, Fault, Modules},
    mail::{Mail, Mailer, Post, Taken},
    prelude::*,
    secrets::Keeping,
    store::{Work, sqlx},
};
use secrecy::ExposeSecret;
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

#[tokio::test]
async fn who_was_invited_sets_a_password_once_and_signs_in() {
    let deployment = Deployment::new();
    let invited = deployment.invite(" Ada ", Role::PlatformAdmin, APPLICATION).await;
    assert_eq!((invited.operator.name.as_str(), invited.operator.status), ("ada", OperatorStatus::Invited));
    let Delivery::Manual { path, token } = invited.activation.delivery else { panic!("nothing sends mail") };
    assert_eq!(path.expose(), format!("/console/activate#{}", token.expose()));
    let resolved =
        deployment.run(Principal::Anonymous, ResolveAction { token: token.clone() }).await.unwrap();
    assert_eq!((resolved.action, resolved.name.as_str()), (Purpose::Activation, "ada"));
    let weak = deployment.complete(token.clone(), "short").await.unwrap_err();
    assert!(matches!(weak, IdentityError::WeakPassword(_)));
    deployment.complete(token.clone(), PASSWORD).await.unwrap();
    let again = deployment.complete(token.clone(), "another long password").await.unwrap_err();
    assert!(matches!(again, IdentityError::NoSuchAction));
    assert!(deployment.run(Principal::Anonymous, ResolveAction { token }).await.is_err());

    let session = deployment.sign_in("ADA", PASSWORD).await.unwrap();
    assert_eq!(csrf_token(session.session_token.expose()), session.csrf_token.expose());
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada), (1, vec!["operators.read", "operators.write", "tenants.read"]));
    let myself = deployment.run(ada, WhoAmI {}).await.unwrap();
    assert_eq!((myself.id.as_str(), myself.home), ("operator:ada", Some(APPLICATION)));
}

#[tokio::test]
async fn roles_differ_in_what_they_hold() {
    let deployment = Deployment::new();
    for (name, role, home, permissions) in [
        ("auditor", Role::PlatformAuditor, APPLICATION, vec!["operators.read", "tenants.read"]),
        ("tenant", Role::TenantAdmin, ACME, vec!["operators.read", "operators.write"]),
    ] {
        deployment.operator(name, role, home).await;
        let session = deployment.sign_in(name, PASSWORD).await.unwrap();
        assert_eq!(held(&deployment.in_session(&session).await.unwrap()), (1, permissions));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_in_is_not_said() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    deployment.invite("eve", Role::PlatformAdmin, APPLICATION).await;
    deployment.run(Principal::System, DisableOperator { name: "bob".into() }).await.unwrap();
    let mut answers = Vec::new();
    for (name, password) in [
        ("ada", "wrong horse battery"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("eve", PASSWORD),
        ("", PASSWORD),
        ("ada' OR '1'='1", PASSWORD),
    ] {
        let error = deployment.sign_in(name, password).await.unwrap_err();
        answers.push((error.code(), error.category(), error.to_string()));
    }
    assert_eq!(answers[0].0, "invalid_credentials");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_sign_in_is_audited_with_its_account_and_without_what_was_typed() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.sign_in("ada", "canary horse battery").await.unwrap_err();
    deployment.sign_in("canary-name", PASSWORD).await.unwrap_err();
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let events = deployment.testkit.events().await;
    let of_sessions: Vec<_> = events
        .iter()
        .filter(|event| event.command.as_deref() == Some("identity.sessions.create"))
        .map(|event| (event.result.as_str(), event.actor.as_str(), event.error_code.as_deref()))
        .collect();
    assert_eq!(
        of_sessions,
        [
            ("auth-failure", "anonymous", Some("invalid_credentials")),
            ("auth-failure", "anonymous", Some("invalid_credentials")),
            ("succeeded", "operator:ada", None),
        ]
    );
    let all = format!("{events:?}");
    assert!(all.contains("account") && all.contains("operator:ada"));
    for secret in ["canary", PASSWORD, session.session_token.expose(), session.csrf_token.expose()] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[tokio::test]
async fn attempts_on_an_account_run_out_and_come_back() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    for name in ["ada", "nobody"] {
        for _ in 0..3 {
            let error = deployment.sign_in(name, "wrong horse battery").await.unwrap_err();
            assert_eq!(error.code(), "invalid_credentials");
        }
        // The right password does not help, and is not looked at.
        let error = deployment.sign_in(name, PASSWORD).await.unwrap_err();
        assert_eq!(error.code(), "too_many_attempts");
        let wait = error.retry_after().unwrap();
        assert!((299..=300).contains(&wait.as_secs()), "{wait:?}");
    }
    deployment.testkit.pass(SignedDuration::from_mins(5));
    deployment.sign_in("ada", PASSWORD).await.unwrap();
    // A success clears the account.
    for _ in 0..3 {
        assert_eq!(deployment.sign_in("ada", "wrong horse").await.unwrap_err().code(), "invalid_credentials");
    }
}

#[tokio::test]
async fn attempts_at_once_count_together() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let attempts = (0..8).map(|_| deployment.sign_in("ada", "wrong horse battery"));
    let codes: Vec<_> =
        futures_util::future::join_all(attempts).await.into_iter().map(|it| it.unwrap_err().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "invalid_credentials").count(), 3, "{codes:?}");
}

#[tokio::test]
async fn attempts_from_an_address_run_out_whatever_the_account() {
    let deployment = Deployment::new();
    let from = async |peer: &str, name: String| {
        let cx = deployment.cx(Principal::Anonymous).with_peer(peer.parse().unwrap());
        match deployment.testkit.run_in(cx, attempt(&name, PASSWORD, None)).await {
            Err(Fault::Failed(error)) => error.code(),
            other => panic!("{other:?}"),
        }
    };
    for at in 0..5 {
        assert_eq!(from("2001:db8::1", format!("name-{at}")).await, "invalid_credentials");
    }
    assert_eq!(from("2001:db8::2", "name-6".to_owned()).await, "too_many_attempts", "the same network");
    assert_eq!(from("2001:db8:0:1::1", "name-7".to_owned()).await, "invalid_credentials");
    assert_eq!(from("192.0.2.1", "name-8".to_owned()).await, "invalid_credentials");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_in_the_end() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    for _ in 0..5 {
        deployment.testkit.pass(SignedDuration::from_mins(20));
        assert!(deployment.in_session(&session).await.is_some());
    }
    deployment.testkit.pass(SignedDuration::from_mins(20));
    assert!(deployment.in_session(&session).await.is_none(), "two hours are over");
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_mins(30));
    assert!(deployment.in_session(&session).await.is_none(), "nobody called for half an hour");
}

#[tokio::test]
async fn signing_out_ends_one_session_and_others_can_be_ended() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.testkit.pass(SignedDuration::from_secs(1));
    let other = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_secs(1));
    let third = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let listed = deployment.run(ada.clone(), ListSessions {}).await.unwrap().sessions;
    assert_eq!(listed.iter().map(|session| session.current).collect::<Vec<_>>(), [false, false, true]);
    let in_other = deployment.in_session(&other).await.unwrap();
    deployment.run(in_other, DeleteSession {}).await.unwrap();
    assert!(deployment.in_session(&other).await.is_none());
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let bobs = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let bob = deployment.in_session(&bobs).await.unwrap();
    let error = deployment.run(bob, RevokeSession { id: listed[0].id }).await.unwrap_err();
    assert_eq!(error.code(), "unknown_session", "somebody else's");
    deployment.run(ada, RevokeSession { id: listed[0].id }).await.unwrap();
    assert!(deployment.in_session(&third).await.is_none());
}

#[tokio::test]
async fn operators_of_a_tenant_that_may_not_act_neither_begin_nor_are_told_why() {
    let deployment = Deployment::new();
    deployment.operator("ann", Role::TenantAdmin, ACME).await;
    deployment.sign_in("ann", PASSWORD).await.unwrap();
    deployment.standing.0.lock().unwrap().push(ACME);
    let error = deployment.sign_in("ann", PASSWORD).await.unwrap_err();
    assert_eq!(error.code(), "invalid_credentials");
    let wanted = CreateOperator {
        name: "bob".to_owned(),
        email: None,
        display_name: None,
        role: Role::TenantAdmin,
        home: Some(ACME),
        delivery_method: None,
    };
    let error = deployment.run(Principal::System, wanted).await.unwrap_err();
    assert_eq!(error.code(), "unknown_tenant");
    deployment.standing.0.lock().unwrap().clear();
    deployment.sign_in("ann", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn every_session_ends_when_the_password_changes_and_the_caller_gets_another() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let other = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let change = |current: &str, new: &str| ChangePassword { current: current.into(), new: new.into() };
    let error =
        deployment.run(ada.clone(), change("wrong horse", "another long password")).await.unwrap_err();
    assert_eq!(error.code(), "wrong_password");
    let error = deployment.run(ada.clone(), change(PASSWORD, "ada")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_short");
    let error = deployment.run(ada.clone(), change(PASSWORD, "Password123456789")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_common");
    let error = deployment.run(ada.clone(), change(PASSWORD, "chancery chancery")).await.unwrap_err();
    assert_eq!(error.code(), "password_too_personal");
    let session = deployment.run(ada, change(PASSWORD, "another long password")).await.unwrap();
    assert!(deployment.in_session(&other).await.is_none());
    assert!(deployment.in_session(&session).await.is_some());
    assert!(deployment.sign_in("ada", PASSWORD).await.is_err());
    deployment.sign_in("ada", "another long password").await.unwrap();
}

#[tokio::test]
async fn who_lost_a_password_gets_another_by_a_one_time_token_of_their_own() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.operator("bob", Role::PlatformAuditor, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let first = deployment.run(ada.clone(), give("bob")).await.unwrap();
    let second = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(deployment.complete(told(&first), "another long password").await.is_err(), "one at a time");
    deployment.complete(told(&second), "another long password").await.unwrap();
    assert!(deployment.in_session(&session).await.is_none());
    deployment.sign_in("bob", "another long password").await.unwrap();
    let late = deployment.run(ada, give("bob")).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_hours(24));
    assert!(deployment.complete(told(&late), "a third long password").await.is_err(), "it has expired");
}

#[tokio::test]
async fn no_kind_of_token_stands_in_for_another() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    let script = deployment.run(ada.clone(), CreateToken { name: "ci".into(), days: None }).await.unwrap();
    let action = told(&deployment.run(ada, give("ada")).await.unwrap());
    let (session, csrf) = (session.session_token, session.csrf_token);
    for wrong in [&session, &csrf, &action] {
        assert!(deployment.of(Credential::Token(wrong.expose())).await.is_none());
    }
    for wrong in [&script.token, &csrf, &action] {
        assert!(deployment.of(Credential::Session(wrong.expose())).await.is_none());
    }
    for wrong in [session, csrf, script.token] {
        assert!(deployment.complete(wrong, "another long password").await.is_err());
    }
}

#[tokio::test]
async fn tokens_for_scripts_are_made_in_sessions_and_end_by_hand_or_by_time() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let create = |days| CreateToken { name: "ci".into(), days };
    let made = deployment.run(ada.clone(), create(Some(2))).await.unwrap();
    let script = deployment.of(Credential::Token(made.token.expose())).await.unwrap();
    assert_eq!(deployment.run(script.clone(), create(None)).await.unwrap_err().code(), "session_required");
    deployment.run(script, ShowOperator { name: "ada".into() }).await.unwrap();
    let listed = deployment.run(ada.clone(), ListTokens {}).await.unwrap().tokens;
    assert_eq!((listed.len(), listed[0].id), (1, made.id));
    let other = deployment.run(ada.clone(), create(Some(2))).await.unwrap();
    deployment.run(ada, RevokeToken { id: other.id }).await.unwrap();
    assert!(deployment.of(Credential::Token(other.token.expose())).await.is_none());
    assert!(deployment.of(Credential::Token(made.token.expose())).await.is_some());
    deployment.testkit.pass(SignedDuration::from_hours(48));
    assert!(deployment.of(Credential::Token(made.token.expose())).await.is_none());
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_the_last_administrator_is_not_disabled() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let disable = |name: &str| DisableOperator { name: name.into() };
    let error = deployment.run(ada.clone(), disable("ada")).await.unwrap_err();
    assert_eq!(error.code(), "last_administrator");
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let bob = deployment.in_session(&session).await.unwrap();
    let token = deployment.run(bob, CreateToken { name: "ci".into(), days: None }).await.unwrap().token;
    deployment.run(ada.clone(), disable("bob")).await.unwrap();
    assert!(deployment.in_session(&session).await.is_none());
    assert!(deployment.of(Credential::Token(token.expose())).await.is_none());
    let demote = UpdateOperator {
        name: "ada".into(),
        email: None,
        display_name: None,
        role: Some(Role::PlatformAuditor),
        remove_second_factor: false,
    };
    let error = deployment.run(ada.clone(), demote).await.unwrap_err();
    assert_eq!(error.code(), "last_administrator");
    deployment.run(ada, EnableOperator { name: "bob".into() }).await.unwrap();
    deployment.sign_in("bob", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn another_role_ends_the_sessions() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    deployment.operator("bob", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("bob", PASSWORD).await.unwrap();
    let change = UpdateOperator {
        name: "bob".into(),
        email: Some("bob@example.com".into()),
        display_name: None,
        role: Some(Role::PlatformAuditor),
        remove_second_factor: false,
    };
    let bob = deployment.run(ada, change).await.unwrap();
    assert_eq!((bob.role, bob.email.as_deref()), (Role::PlatformAuditor, Some("bob@example.com")));
    assert!(deployment.in_session(&session).await.is_none());
}

#[tokio::test]
async fn administrators_of_a_tenant_reach_its_operators_and_no_others() {
    let deployment = Deployment::new();
    deployment.operator("root", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("acme", Role::TenantAdmin, ACME).await;
    deployment.operator("globex", Role::TenantAdmin, GLOBEX).await;
    let session = deployment.sign_in("acme", PASSWORD).await.unwrap();
    let acme = deployment.in_session(&session).await.unwrap();
    let invite = |name: &str, role, home| CreateOperator {
        name: name.to_owned(),
        email: None,
        display_name: None,
        role,
        home,
        delivery_method: None,
    };
    let invited = deployment.run(acme.clone(), invite("acme2", Role::TenantAdmin, None)).await.unwrap();
    assert_eq!(invited.operator.home, ACME);
    for (role, home) in [
        (Role::PlatformAdmin, None),
        (Role::PlatformAdmin, Some(APPLICATION)),
        (Role::TenantAdmin, Some(GLOBEX)),
    ] {
        let error = deployment.run(acme.clone(), invite("eve", role, home)).await.unwrap_err();
        assert_eq!(error.code(), "role_out_of_place");
    }
    for name in ["globex", "root", "nobody"] {
        let name = || name.to_owned();
        let codes = [
            deployment.run(acme.clone(), ShowOperator { name: name() }).await.unwrap_err().code(),
            deployment.run(acme.clone(), DisableOperator { name: name() }).await.unwrap_err().code(),
            deployment.run(acme.clone(), give(&name())).await.unwrap_err().code(),
        ];
        assert_eq!(codes, ["unknown_operator"; 3]);
    }
    let page = deployment.run(acme, ListOperators { after: None, limit: None }).await.unwrap();
    assert_eq!(page.operators.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["acme", "acme2"]);
}

/// The code that an authenticator app shows: RFC 6238 from its own text, so that nothing is proved by itself.
fn app(secret: &Secret, now: Timestamp) -> String {
    use hmac::{Hmac, Mac as _};
    let bits: String = secret
        .expose()
        .chars()
        .map(|letter| format!("{:05b}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap()))
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(u64::try_from(now.as_second()).unwrap() / 30).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_counts_once() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let enrolled = deployment.run(ada.clone(), EnrollTotp {}).await.unwrap();
    assert!(enrolled.otpauth_uri.expose().contains(enrolled.secret.expose()));
    deployment.sign_in("ada", PASSWORD).await.expect("it does not count before it is confirmed");
    let wrong = deployment.run(ada.clone(), ConfirmTotp { code: "000000".into() }).await;
    assert_eq!(wrong.unwrap_err().code(), "wrong_code");
    let code = app(&enrolled.secret, deployment.testkit.now());
    let session = deployment.run(ada, ConfirmTotp { code: code.as_str().into() }).await.unwrap();
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada).0, 2);
    assert_eq!(deployment.run(ada.clone(), EnrollTotp {}).await.unwrap_err().code(), "second_factor_exists");

    let with = async |code: Option<&str>| {
        deployment.run(Principal::Anonymous, attempt("ada", PASSWORD, code)).await.map(|_| "in")
    };
    assert_eq!(with(None).await.unwrap_err().code(), "second_factor_required");
    assert_eq!(with(Some(&code)).await.unwrap_err().code(), "invalid_credentials", "it was used to confirm");
    deployment.testkit.pass(SignedDuration::from_mins(10));
    let code = app(&enrolled.secret, deployment.testkit.now());
    assert_eq!(with(Some(&code)).await.unwrap(), "in");
    assert_eq!(with(Some(&code)).await.unwrap_err().code(), "invalid_credentials");
    let recovery = enrolled.recovery_codes[3].expose().to_uppercase();
    assert_eq!(with(Some(&recovery)).await.unwrap(), "in");
    assert_eq!(with(Some(&recovery)).await.unwrap_err().code(), "invalid_credentials");

    deployment.testkit.pass(SignedDuration::from_secs(30));
    let code = app(&enrolled.secret, deployment.testkit.now());
    let removed = deployment.run(ada, RemoveTotp { code: code.as_str().into() }).await.unwrap();
    assert_eq!(held(&deployment.in_session(&removed).await.unwrap()).0, 1);
    deployment.sign_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn where_it_is_required_an_administrator_without_a_second_factor_can_only_set_one_up() {
    let deployment = Deployment::with(Settings { require_second_factor: true, ..settings() });
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    deployment.operator("bob", Role::PlatformAuditor, APPLICATION).await;
    assert!(!deployment.sign_in("bob", PASSWORD).await.unwrap().second_factor_required);
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    assert!(session.second_factor_required);
    let ada = deployment.in_session(&session).await.unwrap();
    assert_eq!(held(&ada), (1, vec![]));
    let show = || ShowOperator { name: "bob".into() };
    assert_eq!(deployment.refused(ada.clone(), show()).await, "permission_required");
    let token = CreateToken { name: "ci".into(), days: None };
    assert_eq!(deployment.run(ada.clone(), token).await.unwrap_err().code(), "second_factor_required");
    let enrolled = deployment.run(ada.clone(), EnrollTotp {}).await.unwrap();
    let code = app(&enrolled.secret, deployment.testkit.now());
    let session = deployment.run(ada, ConfirmTotp { code: code.as_str().into() }).await.unwrap();
    assert!(!session.second_factor_required);
    let ada = deployment.in_session(&session).await.unwrap();
    deployment.run(ada, show()).await.unwrap();
}

#[tokio::test]
async fn what_needs_a_fresh_authentication_is_refused_in_an_old_session() {
    let deployment = Deployment::new();
    deployment.operator("ada", Role::PlatformAdmin, APPLICATION).await;
    let session = deployment.sign_in("ada", PASSWORD).await.unwrap();
    deployment.testkit.pass(SignedDuration::from_mins(16));
    let ada = deployment.in_session(&session).await.unwrap();
    let code = deployment.refused(ada, EnrollTotp {}).await;
    assert_eq!(code, "insufficient_user_authentication");
}

#[tokio::test]
async fn what_is_told_once_is_not_kept_for_a_repetition() {
    let deployment = Deployment::new();
    let ada = deployment.admin().await;
    let key = sdk::kernel::IdempotencyKey::parse("k").unwrap();
    let cx = deployment.cx(ada).with_idempotency_key(key);
    let made = deployment.testkit.run_in(cx, CreateToken { name: "ci".into(), days: None }).await;
    assert!(matches!(made, Err(Fault::Failed(IdentityError::ToldOnce))));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let deployment = Deployment::new();
    deployment.invite("ada", Role::PlatformAdmin, APPLICATION).await;
    let again = CreateOperator {
        name: "ADA".into(),
        email: None,
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method: None,
    };
    let error = deployment.run(Principal::System, again).await.unwrap_err();
    assert!(matches!(error, IdentityError::NameTaken(name) if name == "ada"));
}

#[tokio::test]
async fn nothing_that_holds_a_secret_prints_it() {
    let deployment = Deployment::new();
    let invited = deployment.invite("ada", Role::PlatformAdmin, APPLICATION).await;
    assert!(!format!("{invited:?}").contains(told(&invited.activation).expose()));
    deployment.complete(told(&invited.activation), PASSWORD).await.unwrap();
    let command = attempt("ada", PASSWORD, Some("123456"));
    assert!(!format!("{command:?}").contains(PASSWORD) && !format!("{command:?}").contains("123456"));
    let session = deployment.run(Principal::Anonymous, command).await.unwrap();
    assert!(!format!("{session:?}").contains(session.session_token.expose()));
}

/// Takes mail, unless it is out of order.
#[derive(Default)]
struct Letterbox {
    mails: Mutex<Vec<Mail>>,
    broken: AtomicBool,
}

impl Mailer for Letterbox {
    fn enqueue<'a>(&'a self, _work: &'a mut Work, ambient: &'a Ambient, mail: Mail) -> Taken<'a> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(StoreError::from(sqlx::Error::PoolClosed));
            }
            self.mails.lock().unwrap().push(mail);
            Ok(ambient.uuid())
        })
    }
}

impl Letterbox {
    fn mailing(self: &Arc<Self>, invites: impl Fn() -> bool + Send + Sync + 'static) -> Mailing {
        let post = Post::new(Arc::clone(self) as _, "https://platform.example.com".parse().unwrap());
        Mailing { post, invites: Arc::new(invites) }
    }

    /// The token of the link in the last mail.
    fn token(&self) -> Secret {
        let mail = self.mails.lock().unwrap().pop().expect("a mail");
        let link = mail.text.expose_secret().split_whitespace().find(|word| word.starts_with("https://"));
        let (before, token) = link.expect("a link").split_once('#').expect("a fragment");
        assert_eq!(before, "https://platform.example.com/console/activate");
        token.into()
    }
}

#[tokio::test]
async fn a_one_time_token_is_mailed_with_the_work_that_makes_it_or_neither_is_there() {
    let letters = Arc::new(Letterbox::default());
    let deployment = Deployment::posting(settings(), Some(letters.mailing(|| true)));
    let ada = deployment.admin().await;
    let invite = |name: &str, email: Option<&str>, delivery_method| CreateOperator {
        name: name.to_owned(),
        email: email.map(str::to_owned),
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method,
    };

    let invited = deployment.run(ada.clone(), invite("bob", Some("bob@example.com"), None)).await.unwrap();
    assert!(matches!(invited.activation.delivery, Delivery::Queued { .. }), "{invited:?}");
    let answered = serde_json::to_value(&invited).unwrap();
    assert_eq!(answered["activation"]["deliveryState"], "QUEUED");
    assert_eq!((answered["activation"].get("token"), answered["activation"].get("path")), (None, None));
    let (to, until) = {
        let mails = letters.mails.lock().unwrap();
        (mails[0].to.clone(), mails[0].until)
    };
    assert_eq!((to.as_str(), until), ("bob@example.com", invited.activation.expires_at));
    deployment.complete(letters.token(), PASSWORD).await.unwrap();

    // Another password for the same operator, and the token that somebody would rather hand on.
    let given = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(matches!(given.delivery, Delivery::Queued { .. }));
    let mailed = letters.token();
    let manual = CreateAction { name: "bob".to_owned(), delivery_method: Some(DeliveryMethod::Manual) };
    let by_hand = told(&deployment.run(ada.clone(), manual).await.unwrap());
    assert_eq!(deployment.complete(mailed, PASSWORD).await.unwrap_err().code(), "unknown_token");
    assert!(letters.mails.lock().unwrap().is_empty());

    // Where the mail is not taken, there is no new token, and the one before stays good.
    letters.broken.store(true, Ordering::SeqCst);
    assert_eq!(deployment.run(ada.clone(), give("bob")).await.unwrap_err().code(), "internal");
    let lost = invite("cyd", Some("cyd@example.com"), None);
    assert_eq!(deployment.run(ada.clone(), lost).await.unwrap_err().code(), "internal");
    let cyd = ShowOperator { name: "cyd".into() };
    assert_eq!(deployment.run(ada.clone(), cyd).await.unwrap_err().code(), "unknown_operator");
    deployment.complete(by_hand, "another long password").await.unwrap();

    // Who has no address is told by whoever invited them; a mail for them cannot be insisted on.
    let mail = Some(DeliveryMethod::Mail);
    assert_eq!(
        deployment.run(ada.clone(), invite("eve", None, mail)).await.unwrap_err().code(),
        "mail_unavailable"
    );
    let invited = deployment.run(ada, invite("eve", None, None)).await.unwrap();
    deployment.complete(told(&invited.activation), PASSWORD).await.unwrap();
}

#[tokio::test]
async fn while_nobody_is_invited_by_mail_links_are_handed_on_and_other_mails_are_sent() {
    let (letters, invites) = (Arc::new(Letterbox::default()), Arc::new(AtomicBool::new(true)));
    let decided = Arc::clone(&invites);
    let mailing = letters.mailing(move || decided.load(Ordering::SeqCst));
    let deployment = Deployment::posting(settings(), Some(mailing));
    let ada = deployment.admin().await;
    let invite = |name: &str, delivery_method| CreateOperator {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        display_name: None,
        role: Role::PlatformAuditor,
        home: None,
        delivery_method,
    };
    deployment.run(ada.clone(), invite("bob", None)).await.unwrap();
    let bobs = letters.token();

    invites.store(false, Ordering::SeqCst);
    let (mail, manual) = (Some(DeliveryMethod::Mail), Some(DeliveryMethod::Manual));
    for method in [None, mail] {
        for name in ["cyd", "bob"] {
            let refused = deployment.run(ada.clone(), invite(name, method)).await.unwrap_err();
            assert_eq!(
                (refused.code(), refused.category()),
                ("config_disabled_admin_invite", Category::Forbidden),
                "whether `{name}` is taken is not looked at"
            );
        }
        let again = CreateAction { name: "bob".to_owned(), delivery_method: method };
        assert_eq!(
            deployment.run(ada.clone(), again).await.unwrap_err().code(),
            "config_disabled_admin_invite"
        );
    }
    let cyd = ShowOperator { name: "cyd".into() };
    assert_eq!(deployment.run(ada.clone(), cyd).await.unwrap_err().code(), "unknown_operator");
    assert!(letters.mails.lock().unwrap().is_empty());
    deployment.complete(bobs, PASSWORD).await.unwrap();

    let given = deployment.run(ada.clone(), invite("cyd", manual)).await.unwrap();
    deployment.complete(told(&given.activation), PASSWORD).await.unwrap();
    let given = deployment.run(ada.clone(), give("bob")).await.unwrap();
    assert!(matches!(given.delivery, Delivery::Queued { .. }), "another password is no invitation");
    let given = deployment.run(Principal::System, invite("dan", mail)).await.unwrap();
    assert!(matches!(given.activation.delivery, Delivery::Queued { .. }), "nor is the setup's");

    invites.store(true, Ordering::SeqCst);
    letters.mails.lock().unwrap().clear();
    deployment.run(ada, invite("eve", None)).await.unwrap();
    deployment.complete(letters.token(), PASSWORD).await.unwrap();
}

testkit::every_command_is_described!(Identity, except "identity.operators.whoami");
