//! Who may decide about a request, and what comes of a registration that fails. The registration is a stand-in that the
//! tests steer; `tests/tests/signup` has the real one.

use std::sync::{Arc, LazyLock, Mutex};

use chancery_signup::{
    ChallengeError, Confidential, Decided, MIGRATIONS, Parts, Policy, SELF_SIGNUP, SIGNUPS_READ,
    SIGNUPS_WRITE, Settings, Signup, SignupError, SignupStatus, VerifyChallenge,
    requests::{
        SignupOutcome, approve::ApproveSignup, confirm::ConfirmSignup, list_pending::ListPending,
        reconcile_expired::ReconcileExpired, reject::RejectSignup, request::RequestSignup,
    },
};
use identity::{Homes, Identity, Permissions};
use jiff::SignedDuration;
use sdk::{
    descriptors::{
        access::Access,
        catalog::Catalog,
        descriptor::{EntitlementKey, LicenseDescriptor},
    },
    kernel::{Authenticated, BoxProblem, Commands, Fault, Modules, RuntimeCommand},
    mail::{Mail, Mailer, Post, Taken},
    prelude::*,
    secrets::Keeping,
    store::Work,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::Testkit;
use uuid::Uuid;

const APPLICATION: TenantId = TenantId(Uuid::from_u128(1));
const ELSEWHERE: TenantId = TenantId(Uuid::from_u128(2));

#[derive(Default)]
struct Letterbox(Mutex<Vec<Mail>>);

impl Mailer for Letterbox {
    fn enqueue<'a>(&'a self, _work: &'a mut Work, ambient: &'a Ambient, mail: Mail) -> Taken<'a> {
        self.0.lock().unwrap().push(mail);
        Box::pin(async { Ok(ambient.uuid()) })
    }
}

static TABLES: LazyLock<Vec<Migration>> = LazyLock::new(|| [identity::MIGRATIONS, MIGRATIONS].concat());

/// Every tenant is there and may act.
struct Everywhere;

impl Homes for Everywhere {
    fn may_act(&self, _tenant: TenantId) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async { Ok(true) })
    }
}

struct Everybody;

impl VerifyChallenge for Everybody {
    fn verify<'a>(&'a self, _proof: &'a str) -> BoxFuture<'a, Result<(), ChallengeError>> {
        Box::pin(async { Ok(()) })
    }
}

/// What the registration answers, and what it was asked.
#[derive(Default)]
struct Registrar {
    refuses: Mutex<Option<(&'static str, Category)>>,
    asked: Mutex<Vec<Value>>,
}

#[derive(Debug, thiserror::Error)]
#[error("as the test wants it")]
struct Refused(&'static str, Category);

impl Problem for Refused {
    fn code(&self) -> &'static str {
        self.0
    }

    fn category(&self) -> Category {
        self.1
    }
}

struct Scene {
    testkit: Testkit,
    letters: Arc<Letterbox>,
    registrar: Arc<Registrar>,
    signup: Signup,
}

impl Scene {
    async fn open(require_approval: bool) -> Self {
        let letters = Arc::new(Letterbox::default());
        let registrar = Arc::new(Registrar::default());
        let line = Line::default();
        let made = Arc::new(Mutex::new(None));
        let (mailer, way, making) = (Arc::clone(&letters), line.clone(), Arc::clone(&made));
        let policy = Policy {
            enabled: true,
            require_approval,
            token_ttl: SignedDuration::from_hours(1),
            max_resends: 1,
            per_email: 100,
            per_address: 100,
            window: SignedDuration::from_hours(1),
        };
        let steered = Arc::clone(&registrar);
        let testkit = Testkit::new(&TABLES, move |store| {
            let identity = Identity::new(
                store.clone(),
                APPLICATION,
                Arc::new(Everywhere),
                Permissions::of_program([]),
                identity::Settings::STANDARD,
                Keeping::within(None),
            )
            .unwrap();
            let signup = Signup::new(Parts {
                store: store.clone(),
                line: way.clone(),
                identity: identity.clone(),
                application: APPLICATION,
                settings: Settings {
                    platform: policy,
                    children: policy,
                    retention: SignedDuration::from_hours(24 * 10),
                },
                decided: Arc::new(|| Decided {
                    self_signup: true,
                    subtenant_signup: true,
                    require_approval: false,
                }),
                verifier: Some(Arc::new(Everybody)),
                post: Some(Post::new(
                    Arc::clone(&mailer) as _,
                    "https://platform.example.com".parse().unwrap(),
                )),
                pepper: "pepper".to_owned().into(),
            });
            *making.lock().unwrap() = Some(signup.clone());
            Modules::none().mount(identity).mount(signup)
        })
        .with_commands(move || {
            let steered = Arc::clone(&steered);
            let register = RuntimeCommand::new("tenancy.tenants.register", move |_cx, input| {
                steered.asked.lock().unwrap().push(input);
                let refuses = *steered.refuses.lock().unwrap();
                async move {
                    match refuses {
                        Some((code, category)) => Err(Box::new(Refused(code, category)) as BoxProblem),
                        None => Ok(json!({ "tenantId": Uuid::from_u128(7) })),
                    }
                }
            });
            let key = EntitlementKey::literal_of("chancery", "tenancy.tenants.register");
            Commands::none().with(
                register
                    .summary("Register a tenant")
                    .facet(Access::builder().internal().build())
                    .facet(LicenseDescriptor::builder(key).internal_system().build()),
            )
        })
        .with_catalog(Catalog::assemble([("tenancy", include_str!("../../tenancy/catalog.toml"))]).unwrap())
        .licensed("chancery")
        .featuring(SELF_SIGNUP)
        .permitted(SIGNUPS_READ)
        .permitted(SIGNUPS_WRITE);
        line.connect(&testkit.bus().await);
        let signup = made.lock().unwrap().clone().unwrap();
        Self { testkit, letters, registrar, signup }
    }

    fn answers(&self, refusal: Option<(&'static str, Category)>) {
        *self.registrar.refuses.lock().unwrap() = refusal;
    }

    /// A request whose link was just mailed.
    async fn asked(&self, slug: &str, parent: Option<TenantId>) -> (Uuid, Confidential) {
        let wanted = RequestSignup {
            email: format!("{slug}@example.com").try_into().unwrap(),
            slug: slug.to_owned().try_into().unwrap(),
            display_name: slug.to_owned().try_into().unwrap(),
            parent_tenant_id: parent,
            challenge_proof: Some("proof".to_owned().into()),
        };
        let accepted = self.testkit.run(wanted).await.unwrap();
        let mail = self.letters.0.lock().unwrap().pop().unwrap();
        let text = mail.text.expose_secret();
        let token = text.split_once('#').unwrap().1.split_whitespace().next().unwrap();
        (accepted.signup_request_id, token.to_owned().into())
    }

    async fn confirm(&self, token: &Confidential) -> Result<SignupOutcome, Fault<SignupError>> {
        self.testkit.run(ConfirmSignup { plain_verification_token: token.clone() }).await
    }

    /// A request that waits for approval.
    async fn waiting(&self, slug: &str, parent: Option<TenantId>) -> Uuid {
        // They are listed by age.
        self.testkit.pass(SignedDuration::from_secs(1));
        let (id, token) = self.asked(slug, parent).await;
        assert_eq!(self.confirm(&token).await.unwrap().status, SignupStatus::PendingApproval);
        id
    }

    /// An operator of this tenant.
    fn of(&self, home: TenantId) -> Cx {
        let who = Authenticated {
            id: "operator:elsewhere".to_owned(),
            home: Some(home),
            permissions: [SIGNUPS_READ.as_str(), SIGNUPS_WRITE.as_str()].into(),
            aal: 1,
            authenticated_at: self.testkit.now(),
            session: None,
        };
        Cx::new(self.testkit.cx().ambient().clone(), Principal::Authenticated(who.into()))
    }

    async fn seen_by(&self, home: TenantId, parent: Option<TenantId>) -> Vec<String> {
        let list = ListPending { parent_tenant_id: parent, sort: None, after: None, limit: None };
        let page = self.testkit.run_in(self.of(home), list).await.unwrap();
        page.requests.iter().map(|request| request.slug.to_string()).collect()
    }
}

fn approve(id: Uuid) -> ApproveSignup {
    ApproveSignup { signup_request_id: id }
}

fn failed<T: std::fmt::Debug>(answer: Result<T, Fault<SignupError>>) -> SignupError {
    match answer {
        Err(Fault::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_parents_operators_decide_about_its_own_and_of_others_they_learn_nothing() {
    let scene = Scene::open(true).await;
    let parent = scene.testkit.tenant();
    let own = scene.waiting("own", Some(parent)).await;
    let others = scene.waiting("others", Some(ELSEWHERE)).await;
    let root = scene.waiting("root", None).await;

    let absent = failed(scene.testkit.run(approve(Uuid::from_u128(9))).await).to_string();
    for id in [others, root] {
        assert_eq!(failed(scene.testkit.run(approve(id)).await).to_string(), absent);
        let reject = RejectSignup { signup_request_id: id, reason: None };
        assert_eq!(failed(scene.testkit.run(reject).await).to_string(), absent);
    }
    assert!(scene.registrar.asked.lock().unwrap().is_empty());
    assert_eq!(scene.seen_by(parent, None).await, ["own"]);
    assert_eq!(scene.seen_by(parent, Some(ELSEWHERE)).await, [] as [&str; 0]);
    assert_eq!(scene.seen_by(APPLICATION, None).await, ["own", "others", "root"]);
    assert_eq!(scene.seen_by(APPLICATION, Some(ELSEWHERE)).await, ["others"]);
    assert!(matches!(
        failed(scene.testkit.run(ReconcileExpired { now: None }).await),
        SignupError::NoSuchRequest
    ));

    let approved = scene.testkit.run(approve(own)).await.unwrap();
    assert_eq!(approved.status, SignupStatus::Registered);
    for id in [others, root] {
        let approved = scene.testkit.run_in(scene.of(APPLICATION), approve(id)).await.unwrap();
        assert_eq!(approved.status, SignupStatus::Registered);
    }
    let asked = scene.registrar.asked.lock().unwrap().clone();
    let wanted = json!({
        "tenantId": own, "slug": "own", "name": "own", "parentTenantId": parent, "source": "SELF_SIGNUP"
    });
    assert_eq!(asked[0], wanted);
}

#[tokio::test]
async fn what_license_or_policy_refuse_can_be_approved_again_and_what_cannot_be_has_failed() {
    let scene = Scene::open(true).await;
    let parent = scene.testkit.tenant();
    let id = scene.waiting("acme", Some(parent)).await;
    for refusal in [("quota_exceeded", Category::Forbidden), ("ceiling", Category::PaymentRequired)] {
        scene.answers(Some(refusal));
        let SignupError::NotRegistered { code, category, .. } = failed(scene.testkit.run(approve(id)).await)
        else {
            panic!("the registration's own answer")
        };
        assert_eq!((code, category), refusal);
        assert_eq!(scene.seen_by(parent, None).await, ["acme"]);
    }
    scene.answers(Some(("slug_taken", Category::Conflict)));
    failed(scene.testkit.run(approve(id)).await);
    assert!(matches!(
        failed(scene.testkit.run(approve(id)).await),
        SignupError::Misplaced(SignupStatus::Failed)
    ));
    let told: Vec<_> = scene.letters.0.lock().unwrap().iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(told, [] as [&str; 0], "nobody is told of a tenant that is not there");
}

#[tokio::test]
async fn a_registration_that_is_interrupted_goes_on_by_itself() {
    let scene = Scene::open(false).await;
    let (_, token) = scene.asked("acme", None).await;
    scene.answers(Some(("unavailable", Category::Unavailable)));
    let confirmed = scene.confirm(&token).await.unwrap();
    assert_eq!((confirmed.status, confirmed.registration), (SignupStatus::Confirmed, None));
    let ambient = scene.testkit.cx().ambient().clone();
    scene.answers(None);
    scene.signup.look_after(&ambient).await.unwrap();
    assert_eq!(scene.registrar.asked.lock().unwrap().len(), 1, "it is left alone for a while");

    scene.testkit.pass(SignedDuration::from_mins(2));
    scene.signup.look_after(&ambient).await.unwrap();
    scene.signup.look_after(&ambient).await.unwrap();
    assert_eq!(scene.registrar.asked.lock().unwrap().len(), 2, "and is registered once");
    assert_eq!(scene.letters.0.lock().unwrap()[0].subject, "Your tenant is registered");
}

#[tokio::test]
async fn a_link_ends_when_its_time_is_over_and_the_rest_of_the_future_is_not_yet() {
    let scene = Scene::open(false).await;
    let (_, token) = scene.asked("acme", None).await;
    let tomorrow = scene.testkit.now() + SignedDuration::from_hours(24);
    let reconcile = async || {
        let command = ReconcileExpired { now: Some(tomorrow) };
        scene.testkit.run_in(scene.of(APPLICATION), command).await.unwrap().expired_count
    };
    assert_eq!(reconcile().await, 0, "nobody is expired ahead of time");
    scene.testkit.pass(SignedDuration::from_hours(1));
    assert!(matches!(failed(scene.confirm(&token).await), SignupError::InvalidToken));
    assert_eq!((reconcile().await, reconcile().await), (1, 0));
}

#[tokio::test]
async fn a_request_is_forgotten_some_time_after_its_end_and_never_before() {
    let scene = Scene::open(true).await;
    let (first, token) = scene.asked("late", None).await;
    let rejected = scene.waiting("rejected", None).await;
    let registered = scene.waiting("registered", None).await;
    scene.waiting("waiting", None).await;
    let platform = || scene.of(APPLICATION);
    let reject = RejectSignup { signup_request_id: rejected, reason: None };
    scene.testkit.run_in(platform(), reject).await.unwrap();
    scene.testkit.run_in(platform(), approve(registered)).await.unwrap();

    let ambient = scene.testkit.cx().ambient().clone();
    let is_known = async |id| {
        scene.signup.look_after(&ambient).await.unwrap();
        let misplaced = scene.testkit.run_in(platform(), approve(id)).await;
        !matches!(failed(misplaced), SignupError::NoSuchRequest)
    };
    scene.testkit.pass(SignedDuration::from_hours(24 * 10 - 1));
    assert!(is_known(first).await && is_known(rejected).await && is_known(registered).await);
    scene.testkit.pass(SignedDuration::from_hours(2));
    assert!(!is_known(rejected).await && !is_known(registered).await);
    // What expired did so an hour after the others were decided; what waits is kept for as long as it does.
    scene.testkit.pass(SignedDuration::from_hours(24 * 10));
    assert!(!is_known(first).await);
    assert!(matches!(failed(scene.confirm(&token).await), SignupError::InvalidToken));
    assert_eq!(scene.seen_by(APPLICATION, None).await, ["waiting"]);
}

#[test]
fn what_is_confidential_is_not_printed() {
    let command = ConfirmSignup { plain_verification_token: "a-token".to_owned().into() };
    assert!(!format!("{command:?}").contains("a-token"));
}

testkit::every_command_is_described!(Signup);
