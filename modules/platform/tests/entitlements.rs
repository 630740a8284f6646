//! Baseline and subscriptions through the real pipeline: what is refused, what is in force when, and who sees it.

use std::sync::{Arc, OnceLock};

use chancery_platform as platform;
use jiff::SignedDuration;
use license::{RequestDesk, RuntimeSettings, Site, Sources, TrustSettings};
use pipeline::Counters;
use platform::{
    COVERAGE_READ, ENTITLEMENTS_READ, ENTITLEMENTS_WRITE, GapLog, HandedOn, Platform, PlatformError, Terms,
    baseline::{clear::ClearBaseline, set::SetBaseline, show::ShowBaseline},
    coverage::report::ReportCoverage,
    decisions::explain::ExplainDecision,
    entitlements::effective::ShowEffectiveEntitlements,
    onboarding::{ConfigFacts, RuntimeFacts},
    subscriptions::{
        SubscriptionStatus, SubscriptionView, cancel::CancelSubscription, list::ListSubscriptions,
        preview::PreviewSubscription, set::SetSubscription, show::ShowSubscription,
    },
};
use quota::{MemoryQuota, Providers, SqlCardinality};
use sdk::{
    descriptors::{
        catalog::Catalog,
        grant::{FeatureValue, Pattern},
    },
    kernel::{Fault, Modules},
    prelude::*,
    store::{Options, sqlx},
};
use serde_json::{Value, json};
use testkit::{Ground, Reason, Testkit, reason};
use uuid::Uuid;

/// A module that is sold.
struct Fair;

impl Module for Fair {
    const NAME: &'static str = "fair";
    const PRODUCT: &'static str = "town";
    type Error = std::convert::Infallible;
}

const LIGHTS: FeatureKey<'_> = FeatureKey::literal("fair.lights.v1");
const RIDES: Quota<'_> = Quota::metered("fair.rides.max");

/// Light the fair.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("fair.stalls.light", Fair -> ())]
#[access(authenticated)]
#[license(features = [LIGHTS])]
struct Light {}

impl Handle<Light> for Fair {
    async fn handle(&self, _cx: &Cx, _command: Light) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Ride.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("fair.stalls.ride", Fair -> ())]
#[access(authenticated)]
#[license(quotas = [RIDES])]
struct Ride {}

impl Handle<Ride> for Fair {
    async fn handle(&self, _cx: &Cx, _command: Ride) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Sweep up. Nobody said what that asks of the license.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("fair.stalls.sweep", Fair -> ())]
#[access(authenticated)]
struct Sweep {}

impl Handle<Sweep> for Fair {
    async fn handle(&self, _cx: &Cx, _command: Sweep) -> Result<(), Self::Error> {
        Ok(())
    }
}

const CATALOG: &str = r#"
    [[feature]]
    key = "fair.lights.v1"
    type = "BOOLEAN"
    description = "lights"
    [[feature]]
    key = "fair.sound.v1"
    type = "CONFIG"
    description = "music"
    [[quota]]
    key = "fair.rides.max"
    kind = "METERED"
    window = "P1D"
    description = "rides"
    [[product]]
    id = "town"
    name = "Town"
"#;

/// What the module works with, for the test to reach.
struct Parts {
    store: Store,
    handed_on: HandedOn,
    gap_log: GapLog,
}

type Reach = Arc<OnceLock<Parts>>;

/// Every tenant is there but one.
struct Everybody;

impl platform::Tenants for Everybody {
    fn exists(&self, tenant: TenantId) -> sdk::prelude::BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(tenant != TenantId(Uuid::nil())) })
    }
}

/// There is no way to a tenant here.
struct Closed;

impl platform::Onboarding for Closed {
    fn config(&self) -> ConfigFacts {
        ConfigFacts {
            root_tenant_creation: false,
            admin_invite: false,
            self_signup: false,
            subtenant_signup: false,
            email: false,
            challenge_verifier: false,
        }
    }

    fn runtime(&self) -> RuntimeFacts {
        RuntimeFacts { application_tenant: false, email: false }
    }
}

fn fair() -> (Testkit, Reach) {
    let reach = Reach::default();
    let kept = Arc::clone(&reach);
    let testkit = Testkit::over(platform::MIGRATIONS, move |Ground { store, deciding, now }| {
        let kept = Arc::clone(&kept);
        async move {
            let handed_on = HandedOn::start(store.clone(), Arc::clone(&deciding), now).await.unwrap();
            let gap_log = GapLog::new(store.clone(), Arc::clone(&deciding));
            kept.get_or_init(|| Parts {
                store: store.clone(),
                handed_on: handed_on.clone(),
                gap_log: gap_log.clone(),
            });
            let cardinality = SqlCardinality::new(store.clone(), Uuid::nil(), Providers::none());
            let counters =
                Counters { metered: Arc::new(MemoryQuota::new()), cardinality: Arc::new(cardinality) };
            let log = audit::AuditLog::new(store);
            let platform = Platform::of(platform::Parts {
                deciding,
                log,
                desk: desk(),
                counters,
                providers: Providers::none(),
                handed_on,
                gap_log,
                tenants: Arc::new(Everybody),
                onboarding: Arc::new(Closed),
            });
            Modules::none().mount(Fair).mount(platform)
        }
    });
    let testkit = testkit
        .with_catalog(Catalog::assemble([("fair", CATALOG)]).unwrap())
        .permitted(ENTITLEMENTS_READ)
        .permitted(ENTITLEMENTS_WRITE)
        .licensed("town")
        .featuring(LIGHTS)
        .limiting(RIDES, 3);
    (testkit, reach)
}

/// No license is asked for here.
fn desk() -> RequestDesk {
    RequestDesk::of(&Sources {
        path: None,
        token: None,
        development: None,
        recipient: None,
        trust: TrustSettings::standard(None),
        pinned: envelope::PinnedKeys::none(),
        site: Site {
            installation: "test".to_owned(),
            owner: None,
            public_host: None,
            production: false,
            sealed_only: true,
        },
        runtime: RuntimeSettings::standard(),
    })
}

fn terms(json: Value) -> Terms {
    serde_json::from_value(json).unwrap()
}

fn nothing() -> Terms {
    terms(json!({}))
}

fn lights() -> Terms {
    terms(json!({ "products": { "town": {} }, "features": { "fair.lights.v1": true } }))
}

fn subscribe(tenant_id: TenantId, revision: i64, terms: Terms) -> SetSubscription {
    SetSubscription {
        tenant_id,
        revision,
        status: SubscriptionStatus::Active,
        not_before: None,
        not_after: None,
        terms,
    }
}

async fn set(testkit: &Testkit, wanted: SetSubscription) -> SubscriptionView {
    testkit.run(wanted).await.unwrap()
}

async fn light(testkit: &Testkit) -> Option<Reason> {
    testkit.run(Light {}).await.err().and_then(|fault| reason(&fault))
}

fn failed(fault: Fault<PlatformError>) -> PlatformError {
    match fault {
        Fault::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_tenant_inherits_the_whole_license_until_a_baseline_is_set() {
    let (testkit, _) = fair();
    let seen = testkit.run(ShowBaseline {}).await.unwrap();
    assert_eq!((seen.revision, &seen.terms), (0, &None));
    assert_eq!(light(&testkit).await, None);
    let set = testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled), "in force before the answer");
    assert_eq!((set.changed_by.as_deref(), set.changed_at), (Some("operator:test"), Some(testkit.now())));
    assert_eq!(testkit.run(ShowBaseline {}).await.unwrap(), set);
    let cleared = testkit.run(ClearBaseline { revision: set.revision }).await.unwrap();
    assert_eq!(cleared.terms, None);
    assert_eq!(light(&testkit).await, None);
}

#[tokio::test]
async fn a_subscription_grants_to_its_tenant_and_to_no_other_what_the_license_permits() {
    let (testkit, _) = fair();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let made = set(&testkit, subscribe(testkit.tenant(), 0, lights())).await;
    assert!(made.in_force);
    assert_eq!(light(&testkit).await, None);
    let other = TenantId(testkit.cx().uuid());
    let fault = testkit.run_in(testkit.cx().with_tenant(other), Light {}).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::NotEntitled));
    let shown = testkit.run(ShowSubscription { tenant_id: testkit.tenant() }).await.unwrap();
    assert_eq!(shown, made);
}

#[tokio::test]
async fn of_two_editors_who_saw_the_same_the_second_changes_nothing() {
    let (testkit, _) = fair();
    let tenant = testkit.tenant();
    let first = set(&testkit, subscribe(tenant, 0, lights())).await.subscription;
    for stale in [0, first.revision + 1] {
        let error = failed(testkit.run(subscribe(tenant, stale, nothing())).await.unwrap_err());
        assert!(matches!(error, PlatformError::ChangedMeanwhile { present } if present == first.revision));
        assert_eq!((error.code(), error.category()), ("changed_meanwhile", Category::Conflict));
    }
    let shown = testkit.run(ShowSubscription { tenant_id: tenant }).await.unwrap();
    assert_eq!(shown.subscription, first);
    let second = set(&testkit, subscribe(tenant, first.revision, nothing())).await.subscription;
    assert!(second.revision > first.revision);
    let error = failed(testkit.run(SetBaseline { revision: 7, terms: nothing() }).await.unwrap_err());
    assert!(matches!(error, PlatformError::ChangedMeanwhile { present: 0 }));
    assert_eq!(light(&testkit).await, None, "the baseline is as it was");
}

#[tokio::test]
async fn editors_at_the_same_time_are_told_apart() {
    let (testkit, _) = fair();
    let bus = testkit.bus().await;
    let calls = (0..16).map(|_| {
        let (bus, cx, wanted) = (bus.clone(), testkit.cx(), subscribe(testkit.tenant(), 0, lights()));
        tokio::spawn(async move { bus.dispatch(cx, wanted).await })
    });
    let mut made = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(_) => made += 1,
            Err(fault) => assert_eq!(failed(fault).code(), "changed_meanwhile"),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn what_is_suspended_or_over_grants_nothing_and_goes_on_denying() {
    use SubscriptionStatus::{Active, Cancelled, Expired, Suspended};
    let (testkit, _) = fair();
    let tenant = testkit.tenant();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let mut revision = 0;
    for (status, rule, met) in [
        (Active, None, None),
        (Suspended, None, Some(Reason::NotEntitled)),
        (Expired, None, Some(Reason::NotEntitled)),
        (Cancelled, None, Some(Reason::NotEntitled)),
        (Active, Some("town.fair.**"), Some(Reason::CommandDenied)),
        (Suspended, Some("town.fair.**"), Some(Reason::CommandDenied)),
        (Expired, Some("town.fair.**"), Some(Reason::CommandDenied)),
        (Cancelled, Some("town.fair.**"), Some(Reason::NotEntitled)),
    ] {
        let mut wanted = subscribe(tenant, revision, lights());
        wanted.status = status;
        wanted.terms.deny.extend(rule.map(deny_rule));
        let made = set(&testkit, wanted).await;
        assert_eq!(made.in_force, status == Active);
        assert_eq!(light(&testkit).await, met, "{status:?} {rule:?}");
        revision = made.subscription.revision;
    }
}

fn deny_rule(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

#[tokio::test]
async fn a_window_opens_and_closes_by_the_clock() {
    let (testkit, reach) = fair();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let handed_on = &reach.get().unwrap().handed_on;
    let hour = SignedDuration::from_hours(1);
    let window = SetSubscription {
        not_before: Some(testkit.now() + hour),
        not_after: Some(testkit.now() + hour * 2),
        ..subscribe(testkit.tenant(), 0, lights())
    };
    assert!(!set(&testkit, window).await.in_force);
    let closed = Some(Reason::NotEntitled);
    assert_eq!(light(&testkit).await, closed);
    for met in [None, closed] {
        testkit.pass(hour - SignedDuration::from_millis(1));
        handed_on.tick(testkit.now()).await;
        assert_ne!(light(&testkit).await, met, "a moment before");
        testkit.pass(SignedDuration::from_millis(1));
        handed_on.tick(testkit.now()).await;
        assert_eq!(light(&testkit).await, met);
    }
}

#[tokio::test]
async fn a_window_without_an_instant_is_refused() {
    let (testkit, _) = fair();
    let at = testkit.now();
    let window = SetSubscription {
        not_before: Some(at),
        not_after: Some(at),
        ..subscribe(testkit.tenant(), 0, nothing())
    };
    assert!(matches!(failed(testkit.run(window).await.unwrap_err()), PlatformError::EmptyWindow));
}

#[tokio::test]
async fn terms_that_name_what_this_build_does_not_know_are_refused_naming_all_of_it() {
    let (testkit, _) = fair();
    let wrong = terms(json!({
        "products": { "moon": {}, "town": { "modules": ["crater"] } },
        "features": { "fair.lights.v1": 3, "fair.fog.v1": true },
        "quotas": { "fair.rides.min": 1 },
    }));
    for error in [
        testkit.run(SetBaseline { revision: 0, terms: wrong.clone() }).await.map(drop),
        testkit.run(subscribe(testkit.tenant(), 0, wrong.clone())).await.map(drop),
        testkit
            .run(PreviewSubscription { tenant_id: testkit.tenant(), terms: wrong.clone() })
            .await
            .map(drop),
    ] {
        let error = failed(error.unwrap_err());
        assert_eq!((error.code(), error.category()), ("unknown_entitlement", Category::Validation));
        let told = error.to_string();
        for named in ["`moon`", "`crater`", "`fair.lights.v1`", "`fair.fog.v1`", "`fair.rides.min`"] {
            assert!(told.contains(named), "{named}: {told}");
        }
    }
    assert_eq!(testkit.run(ShowBaseline {}).await.unwrap().revision, 0);
}

#[tokio::test]
async fn a_rule_that_does_not_parse_is_refused_by_name() {
    let (testkit, _) = fair();
    let input = json!({
        "tenantId": testkit.tenant(), "revision": 0, "terms": { "deny": ["town.fair.**", "town.*"] }
    });
    let fault = testkit.run_json("platform.subscriptions.set", input).await.unwrap_err();
    assert_eq!(fault.code(), "invalid_input");
    assert!(fault.to_string().contains("`terms.deny[1]`"), "{fault}");
}

#[tokio::test]
async fn a_raised_quota_counts_at_once_and_as_far_as_the_license_goes() {
    let (testkit, _) = fair();
    let tenant = testkit.tenant();
    let baseline = terms(json!({ "products": { "town": {} }, "quotas": { "fair.rides.max": 1 } }));
    testkit.run(SetBaseline { revision: 0, terms: baseline }).await.unwrap();
    testkit.run(Ride {}).await.unwrap();
    let fault = testkit.run(Ride {}).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    let more = terms(json!({ "quotas": { "fair.rides.max": 100 } }));
    let preview = testkit.run(PreviewSubscription { tenant_id: tenant, terms: more.clone() }).await.unwrap();
    assert_eq!(preview.before.unwrap().quotas["fair.rides.max"], 1);
    assert_eq!(preview.after.unwrap().quotas["fair.rides.max"], 3);
    assert_eq!(preview.beyond_license, ["fair.rides.max"]);
    set(&testkit, subscribe(tenant, 0, more)).await;
    testkit.run(Ride {}).await.unwrap();
    testkit.run(Ride {}).await.unwrap();
    assert_eq!(reason(&testkit.run(Ride {}).await.unwrap_err()), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn a_preview_tells_what_would_run_and_changes_nothing() {
    let (testkit, _) = fair();
    let tenant = testkit.tenant();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let preview = testkit.run(PreviewSubscription { tenant_id: tenant, terms: lights() }).await.unwrap();
    let gained: Vec<_> = preview.commands.iter().filter(|it| it.after.runs && !it.before.runs).collect();
    assert_eq!(gained.len(), 2, "{:?}", preview.commands);
    assert_eq!(gained[0].command, "fair.stalls.light");
    assert_eq!(gained[0].before.reason, Some(Reason::NotEntitled));
    assert_eq!(preview.after.as_ref().unwrap().features["fair.lights.v1"], FeatureValue::Boolean(true));
    assert!(preview.beyond_license.is_empty());
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled));
    assert!(matches!(
        failed(testkit.run(ShowSubscription { tenant_id: tenant }).await.unwrap_err()),
        PlatformError::NoSubscription(_)
    ));
    // What is foretold comes true.
    set(&testkit, subscribe(tenant, 0, lights())).await;
    let held = testkit.run(ShowEffectiveEntitlements { tenant_id: None }).await.unwrap();
    assert_eq!((held.tenant_id, held.effective), (Some(tenant), preview.after));
}

#[tokio::test]
async fn what_is_cancelled_is_kept_and_can_be_taken_up_again() {
    let (testkit, _) = fair();
    let tenant = testkit.tenant();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let made = set(&testkit, subscribe(tenant, 0, lights())).await.subscription;
    let cancelled = CancelSubscription { tenant_id: tenant, revision: made.revision };
    let cancelled = testkit.run(cancelled).await.unwrap();
    assert_eq!(cancelled.subscription.status, SubscriptionStatus::Cancelled);
    assert_eq!(cancelled.subscription.terms, made.terms);
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled));
    set(&testkit, subscribe(tenant, cancelled.subscription.revision, cancelled.subscription.terms)).await;
    assert_eq!(light(&testkit).await, None);
    let none = CancelSubscription { tenant_id: TenantId(Uuid::nil()), revision: 0 };
    assert_eq!(failed(testkit.run(none).await.unwrap_err()).category(), Category::NotFound);
}

#[tokio::test]
async fn many_subscriptions_are_listed_a_page_at_a_time() {
    let (testkit, _) = fair();
    for place in 1..=25 {
        set(&testkit, subscribe(TenantId(Uuid::from_u128(place)), 0, lights())).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = testkit.run(ListSubscriptions { tenant_id: None, after, limit: Some(10) }).await.unwrap();
        seen.extend(page.subscriptions.iter().map(|it| it.subscription.tenant_id.0.as_u128()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
}

#[test]
fn who_may_only_look_changes_nothing() {
    let registry = sdk::kernel::Registry::linked().unwrap();
    let asks = |id: &str| {
        let contract = registry.entry(registry.find(id).unwrap()).contract().unwrap();
        format!("{:?}", contract.facet::<sdk::descriptors::access::Access>().unwrap().audience())
    };
    for id in [
        "platform.baseline.set",
        "platform.baseline.clear",
        "platform.subscriptions.set",
        "platform.subscriptions.cancel",
    ] {
        assert!(asks(id).contains(ENTITLEMENTS_WRITE.as_str()), "{id}");
    }
}

#[tokio::test]
async fn an_explanation_is_of_the_tenant_of_the_call_unless_another_is_named() {
    let (testkit, _) = fair();
    let mut denying = nothing();
    denying.deny.push(deny_rule("town.fair.**"));
    set(&testkit, subscribe(testkit.tenant(), 0, denying)).await;
    let explain = |tenant_id, redacted| ExplainDecision {
        command: "fair.stalls.light".to_owned(),
        tenant_id,
        redacted,
    };
    let view = testkit.run(explain(None, false)).await.unwrap();
    assert_eq!((view.reason, view.tenant), (Some(Reason::CommandDenied), Some(testkit.tenant())));
    let other = testkit.run(explain(Some(TenantId(Uuid::nil())), false)).await.unwrap();
    assert_eq!(other.verdict, "ALLOWED");
    let redacted = testkit.run(explain(None, true)).await.unwrap();
    assert_eq!((redacted.reason, redacted.tenant), (Some(Reason::CommandDenied), None));
    let unknown = ExplainDecision { command: "fair.stalls.fly".to_owned(), tenant_id: None, redacted: false };
    assert_eq!(failed(testkit.run(unknown).await.unwrap_err()).code(), "unknown_command");
}

#[tokio::test]
async fn a_tenant_that_is_not_there_subscribes_to_nothing() {
    let (testkit, _) = fair();
    set(&testkit, subscribe(testkit.tenant(), 0, lights())).await;
    let nobody = TenantId(Uuid::nil());
    let error = failed(testkit.run(subscribe(nobody, 0, lights())).await.unwrap_err());
    assert!(matches!(error, PlatformError::NoSuchTenant(tenant) if tenant == nobody));
    assert_eq!((error.code(), error.category()), ("unknown_tenant", Category::NotFound));
}

#[tokio::test]
async fn while_it_cannot_be_read_the_last_that_was_known_is_in_force() {
    let (testkit, reach) = fair();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    let made = set(&testkit, subscribe(testkit.tenant(), 0, lights())).await.subscription;
    let Parts { store, handed_on, .. } = reach.get().unwrap();
    let write = async |sql: &'static str| {
        let mut work = store.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
    };
    // Another replica has changed something, and the table cannot be read.
    write("UPDATE platform_entitlement_revision SET latest = latest + 1").await;
    write("UPDATE platform_subscription SET status = 'SUSPENDED', revision = revision + 1").await;
    write("ALTER TABLE platform_subscription RENAME TO away").await;
    handed_on.tick(testkit.now()).await;
    assert_eq!(light(&testkit).await, None);
    let deciding = testkit.deciding().await;
    HandedOn::start(store.clone(), deciding, testkit.now()).await.expect_err("nobody starts on a guess");
    write("ALTER TABLE away RENAME TO platform_subscription").await;
    handed_on.tick(testkit.now()).await;
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled));
    // What no program of ours writes counts as what cannot be read.
    write("UPDATE platform_entitlement_revision SET latest = latest + 1").await;
    write("UPDATE platform_subscription SET status = 'ACTIVE', terms = '{\"deny\": [\"town.*\"]}', revision = revision + 1")
        .await;
    handed_on.tick(testkit.now()).await;
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled));
    assert!(made.revision > 0);
}

#[tokio::test]
async fn a_database_that_was_put_back_is_followed() {
    let (testkit, reach) = fair();
    testkit.run(SetBaseline { revision: 0, terms: nothing() }).await.unwrap();
    set(&testkit, subscribe(testkit.tenant(), 0, lights())).await;
    let Parts { store, handed_on, .. } = reach.get().unwrap();
    let mut work = store.begin().await.unwrap();
    for sql in ["UPDATE platform_entitlement_revision SET latest = 1", "DELETE FROM platform_subscription"] {
        sqlx::query(sql).execute(&mut *work).await.unwrap();
    }
    work.commit(Cause::Upkeep).await.unwrap();
    handed_on.tick(testkit.now()).await;
    assert_eq!(light(&testkit).await, Some(Reason::NotEntitled));
}

#[tokio::test]
async fn what_deny_mode_would_have_refused_is_kept_and_told_once() {
    let (testkit, reach) = fair();
    let testkit = testkit.warning().permitted(COVERAGE_READ);
    let report = async || testkit.run(ReportCoverage { format: None }).await.unwrap().would_be_denied;
    testkit.run(Sweep {}).await.unwrap();
    for calls in 1..=3 {
        let told = report().await;
        assert_eq!(told.commands.len(), 1);
        assert_eq!((told.commands[0].command.as_str(), told.commands[0].calls), ("fair.stalls.sweep", calls));
        reach.get().unwrap().gap_log.keep().await.unwrap();
        assert_eq!(report().await, told, "kept, and not told twice");
        testkit.run(Sweep {}).await.unwrap();
    }
    reach.get().unwrap().gap_log.keep().await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT calls FROM platform_gap")
        .fetch_one(reach.get().unwrap().store.reader())
        .await
        .unwrap();
    assert_eq!(kept, 4);
}

kit::on_both_engines! {
    async fn replicas_add_up_what_deny_mode_would_have_refused(url: &str) {
        let store = Store::open(url, Options::default()).await.unwrap();
        store.migrate(platform::MIGRATIONS).await.unwrap();
        let replicas = [fair().0.warning(), fair().0.warning()];
        let mut logs = Vec::new();
        for replica in &replicas {
            let log = GapLog::new(store.clone(), replica.deciding().await);
            log.keep().await.unwrap();
            assert_eq!(log.told().await.unwrap().since, None, "nobody has called yet");
            logs.push(log);
        }
        for (times, replica) in [(2, &replicas[0]), (3, &replicas[1])] {
            replica.pass(SignedDuration::from_secs(times));
            for _ in 0..times {
                replica.run(Sweep {}).await.unwrap();
            }
        }
        assert_eq!(logs[0].told().await.unwrap().commands[0].calls, 2, "what the other has not added is not seen");
        for log in logs.iter().rev() {
            log.keep().await.unwrap();
        }
        for log in &logs {
            let told = log.told().await.unwrap();
            assert_eq!((told.commands.len(), told.commands[0].calls), (1, 5));
            assert_eq!(told.commands[0].reason, Reason::MissingDescriptor);
            assert_eq!(told.commands[0].last, replicas[1].now(), "the later of both");
            assert!(told.since.is_some());
        }
        // A replica that has closed the gap does not tell of it.
        let closed = fair().0.warning().allowlisting("fair.stalls.sweep", "meant");
        let log = GapLog::new(store.clone(), closed.deciding().await);
        assert_eq!(log.told().await.unwrap().commands, []);
    }

    async fn what_one_replica_writes_another_hands_on(url: &str) {
        let store = Store::open(url, Options::default()).await.unwrap();
        store.migrate(platform::MIGRATIONS).await.unwrap();
        let (here, there) = (fair().0, fair().0);
        let one = HandedOn::start(store.clone(), here.deciding().await, here.now()).await.unwrap();
        let other = HandedOn::start(store.clone(), there.deciding().await, there.now()).await.unwrap();
        let mut work = store.begin().await.unwrap();
        let tenant = there.tenant().to_string();
        sqlx::query("UPDATE platform_baseline SET revision = 1, terms = '{}'").execute(&mut *work).await.unwrap();
        sqlx::query("UPDATE platform_entitlement_revision SET latest = 2").execute(&mut *work).await.unwrap();
        sqlx::query(
            "INSERT INTO platform_subscription (tenant, revision, status, terms, changed_at, changed_by)
             VALUES ($1, 2, 'ACTIVE', $2, 0, 'test')",
        )
        .bind(&tenant)
        .bind(serde_json::to_string(&lights()).unwrap())
        .execute(&mut *work)
        .await
        .unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
        assert_eq!((light(&here).await, light(&there).await), (None, None), "before the tick");
        one.tick(here.now()).await;
        other.tick(there.now()).await;
        let other_tenant = TenantId(Uuid::nil());
        let fault = there.run_in(there.cx().with_tenant(other_tenant), Light {}).await.unwrap_err();
        assert_eq!(reason(&fault), Some(Reason::NotEntitled));
        assert_eq!(light(&there).await, None, "its own subscription");
        let read = HandedOn::read(&store, there.now()).await.unwrap();
        there.deciding().await.hand_on(read);
        assert_eq!(light(&there).await, None, "the command line reads the same");
    }
}
