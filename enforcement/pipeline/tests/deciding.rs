//! What is handed on to tenants, met through the bus; and what can be asked about decisions from outside.

mod workshop;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chancery_pipeline::{Entitlements, coverage, denial};
use descriptors::{
    catalog::Catalog,
    coverage::FindingKind,
    grant::{Grant, Pattern, ProductGrant},
};
use jiff::SignedDuration;
use kernel::{Command, Cx, Modules, Principal, TenantId};
use quota::{BoxFuture, Counted, Live, Providers};
use resolver::Verdict;
use store::{StoreError, sqlx::AnyConnection};
use testkit::{Reason, Testkit, reason};
use workshop::{Assemble, BENCHES, CATALOG, CHAIRS, Carve, Sketch, WORK, Workshop};

fn licensed() -> Testkit {
    Testkit::new(&[], |_| Modules::none().mount(Workshop::default()))
        .with_catalog(Catalog::assemble([("workshop", CATALOG)]).unwrap())
        .guarded(workshop::POLICY, workshop::NobodyNamedEve)
        .permitted(WORK)
        .licensed("town")
        .limiting(CHAIRS, 3)
}

fn town() -> Grant {
    let mut grant = Grant::nothing();
    grant.products.insert("town".into(), ProductGrant { edition: "any".into(), modules: None });
    grant
}

fn denying(rule: &str) -> Grant {
    let mut grant = Grant::nothing();
    grant.commands.deny.push(Pattern::parse(rule).unwrap());
    grant
}

#[tokio::test]
async fn a_tenant_is_refused_what_the_baseline_leaves_out_until_it_subscribes() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    deciding.hand_on(Entitlements::baseline(Grant::nothing()));
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::NotEntitled));
    deciding.subscribe(testkit.tenant(), Some(town()));
    assert_eq!(testkit.run(Carve {}).await.unwrap(), 1);
    deciding.subscribe(testkit.tenant(), None);
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::NotEntitled));
}

#[tokio::test]
async fn a_subscription_denies_its_own_tenant_and_no_other() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    deciding.subscribe(testkit.tenant(), Some(denying("town.workshop.chairs.carve")));
    let fault = testkit.run(Carve {}).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::CommandDenied));
    let because = &denial(&fault).unwrap().because;
    assert_eq!(because, "deny rule `town.workshop.chairs.carve` of the tenant's subscription");
    let other = TenantId(testkit.cx().uuid());
    assert_eq!(testkit.run_in(testkit.cx().with_tenant(other), Carve {}).await.unwrap(), 1);
    assert_eq!(testkit.run_in(for_the_platform(&testkit), Carve {}).await.unwrap(), 2);
}

/// The same caller, for no tenant.
fn for_the_platform(testkit: &Testkit) -> Cx {
    let Principal::Authenticated(who) = testkit.cx().principal().clone() else { panic!("an operator calls") };
    Cx::new(kernel::Ambient::system(), Principal::Authenticated(who))
}

#[tokio::test]
async fn a_tenant_is_charged_against_what_it_subscribed_to() {
    let testkit = licensed();
    let mut baseline = town();
    baseline.quotas.insert(CHAIRS.key.to_string(), 1);
    let deciding = testkit.deciding().await;
    deciding.hand_on(Entitlements::baseline(baseline));
    testkit.run(Assemble { legs: 4 }).await.unwrap();
    let fault = testkit.run(Assemble { legs: 4 }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    let mut more = Grant::nothing();
    more.quotas.insert(CHAIRS.key.to_string(), 2);
    deciding.subscribe(testkit.tenant(), Some(more));
    testkit.run(Assemble { legs: 4 }).await.expect("a limit raised in mid-window applies at once");
}

#[tokio::test]
async fn the_end_of_a_license_is_seen_by_the_next_call_whatever_was_handed_on() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    deciding.subscribe(testkit.tenant(), Some(town()));
    assert_eq!(testkit.run(Carve {}).await.unwrap(), 1);
    testkit.pass(SignedDuration::from_hours(24 * 31));
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::LicenseExpired));
    deciding.subscribe(testkit.tenant(), Some(denying("**")));
    deciding.publish();
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::LicenseExpired));
}

/// Stops the callers, also when the test fails before.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// No call may see a verdict that no state of the entitlements gives, nor one of a state that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_are_seen_whole_and_at_once_under_callers() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    let command = deciding.registry().index_of::<Carve>().unwrap();
    let tenant = testkit.tenant();
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Stop(Arc::clone(&stop));
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (deciding, stop) = (Arc::clone(&deciding), Arc::clone(&stop));
            tokio::task::spawn_blocking(move || {
                let mut met = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    met.insert(format!("{:?}", deciding.verdict(command, Some(tenant))));
                }
                met
            })
        })
        .collect();
    for _ in 0..500 {
        deciding.subscribe(tenant, Some(denying("**")));
        assert_eq!(deciding.verdict(command, Some(tenant)), Verdict::Denied(Reason::CommandDenied));
        deciding.hand_on(Entitlements::whole_ceiling());
        assert_eq!(deciding.verdict(command, Some(tenant)), Verdict::Allowed);
        tokio::task::yield_now().await;
    }
    drop(stopping);
    let possible = BTreeSet::from(["Allowed".to_owned(), "Denied(CommandDenied)".to_owned()]);
    for caller in callers {
        assert!(caller.await.unwrap().is_subset(&possible));
    }
}

#[tokio::test]
async fn two_deployments_in_one_thread_are_told_apart() {
    let (open, closed) = (licensed(), licensed());
    let (open_deciding, closed_deciding) = (open.deciding().await, closed.deciding().await);
    closed_deciding.subscribe(closed.tenant(), Some(denying("**")));
    let command = open_deciding.registry().index_of::<Carve>().unwrap();
    for _ in 0..2 {
        assert_eq!(open_deciding.verdict(command, Some(open.tenant())), Verdict::Allowed);
        let denied = Verdict::Denied(Reason::CommandDenied);
        assert_eq!(closed_deciding.verdict(command, Some(closed.tenant())), denied);
    }
}

#[tokio::test]
async fn warn_mode_keeps_count_of_what_deny_mode_would_have_refused() {
    let testkit = licensed().warning();
    let deciding = testkit.deciding().await;
    assert_eq!(deciding.would_be_denied().since, None);
    let begun = testkit.now();
    testkit.run(Carve {}).await.unwrap();
    testkit.pass(SignedDuration::from_secs(60));
    for _ in 0..3 {
        testkit.run(Sketch {}).await.unwrap();
    }
    let told = deciding.would_be_denied();
    assert_eq!(told.since, Some(begun));
    assert_eq!(told.commands.len(), 1, "what is described is not counted");
    assert_eq!(told.commands[0].command, Sketch::CONTRACT.id().as_str());
    assert_eq!((told.commands[0].calls, told.commands[0].reason), (3, Reason::MissingDescriptor));
    assert_eq!(told.commands[0].last, testkit.now());
}

#[tokio::test]
async fn deny_mode_has_nothing_to_count() {
    let testkit = licensed();
    testkit.run(Sketch {}).await.unwrap_err();
    assert_eq!(testkit.deciding().await.would_be_denied().commands, []);
    let testkit = licensed().warning().allowlisting("workshop.chairs.sketch", "meant");
    testkit.run(Sketch {}).await.unwrap();
    assert_eq!(testkit.deciding().await.would_be_denied().commands, [], "a gap that is meant is none");
}

#[tokio::test]
async fn explaining_speaks_of_the_tenant_it_is_asked_for() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    deciding.subscribe(testkit.tenant(), Some(denying("town.workshop.**")));
    let command = deciding.registry().index_of::<Carve>().unwrap();
    assert_eq!(deciding.explain(command).verdict, "ALLOWED");
    let view = deciding.explain_for(command, Some(testkit.tenant()));
    assert_eq!(view.reason, Some(Reason::CommandDenied));
    let ways: Vec<_> = view.remedies.iter().map(ToString::to_string).collect();
    assert_eq!(ways, ["remove deny rule `town.workshop.**` from the tenant's subscription"]);
    assert_eq!(testkit.events().await, [], "explaining audits nothing");
}

#[tokio::test]
async fn a_redacted_explanation_keeps_keys_and_reasons_and_names_nobody() {
    let testkit = licensed();
    let deciding = testkit.deciding().await;
    deciding.subscribe(testkit.tenant(), Some(denying("town.workshop.**")));
    let command = deciding.registry().index_of::<Carve>().unwrap();
    let view = deciding.explain_for(command, Some(testkit.tenant()));
    let whole = serde_json::to_string(&view).unwrap();
    assert!(whole.contains(&testkit.tenant().to_string()) && view.license_id.is_some());
    let redacted = serde_json::to_string(&view.clone().redacted()).unwrap();
    assert!(!redacted.contains(&testkit.tenant().to_string()) && !redacted.contains("licenseId"));
    for kept in ["workshop.chairs.carve", "COMMAND_DENIED", "town.workshop.**", "ACTIVE"] {
        assert!(redacted.contains(kept), "{kept}");
    }
    assert_eq!(view.clone().redacted().steps, view.steps);
}

#[tokio::test]
async fn a_redacted_explanation_does_not_repeat_what_an_operator_wrote() {
    let testkit = licensed().allowlisting("workshop.chairs.sketch", "for Jane of Acme Ltd");
    let deciding = testkit.deciding().await;
    let command = deciding.registry().index_of::<Sketch>().unwrap();
    let view = deciding.explain(command);
    assert!(serde_json::to_string(&view).unwrap().contains("Jane"));
    let redacted = serde_json::to_string(&view.redacted()).unwrap();
    assert!(!redacted.contains("Jane") && redacted.contains("ALLOWLISTED"), "{redacted}");
}

#[tokio::test]
async fn a_quota_over_things_is_a_finding_only_where_nobody_counts_it() {
    fn none<'a>(_: &'a mut AnyConnection, _: Counted<'a>) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
        Box::pin(async { Ok(Some(Live::Things(0))) })
    }
    let deciding = licensed().deciding().await;
    let subjects = |providers: &Providers| {
        let report = coverage(deciding.registry(), deciding.catalog(), deciding.policy(), providers);
        let uncounted = report.findings.into_iter();
        let uncounted = uncounted.filter(|it| it.kind == FindingKind::MissingCardinalityProvider);
        uncounted.map(|it| it.subject).collect::<Vec<_>>()
    };
    assert_eq!(subjects(&Providers::none()), ["workshop.benches.build"]);
    let counting = Providers::none().with(BENCHES.key.as_str(), none);
    assert_eq!(subjects(&counting), [""; 0]);
}
