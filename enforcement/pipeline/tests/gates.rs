//! Every gate, met through the bus as a module author meets it.

mod workshop;

use std::{sync::atomic::Ordering, time::Duration};

use audit::{Event, Outcome};
use descriptors::{
    access::Access,
    catalog::Catalog,
    descriptor::{DeploymentShape, DescriptorError, EntitlementKey, LicenseDescriptor, MalformedDescriptor},
};
use jiff::{SignedDuration, tz::TimeZone};
use kernel::{Commands, Cx, Fault, IdempotencyKey, Modules, Principal, RuntimeCommand};
use quota::Windows;
use serde_json::{Value, json};
use testkit::{Reason, Testkit, reason};
use workshop::{
    ATTEMPTS, Assemble, BENCHES, Build, CATALOG, CHAIRS, Carve, Fail, Guarded, Look, Polish, Regret, Sell,
    Sketch, Slow, Varnish, WORK, Waiting, Workshop,
};

fn workshop() -> (Testkit, Workshop) {
    let workshop = Workshop::default();
    let mounted = workshop.clone();
    let testkit = Testkit::new(&[], move |_| Modules::none().mount(mounted.clone()))
        .with_catalog(Catalog::assemble([("workshop", CATALOG)]).unwrap())
        .guarded(workshop::POLICY, workshop::NobodyNamedEve)
        .permitted(WORK);
    (testkit, workshop)
}

fn licensed() -> (Testkit, Workshop) {
    let (testkit, workshop) = workshop();
    (testkit.licensed("town").limiting(CHAIRS, 3).limiting(ATTEMPTS, 2), workshop)
}

/// With benches counted, and a limit for them.
fn counting(benches: u64) -> (Testkit, Workshop) {
    let (testkit, workshop) = licensed();
    (testkit.limiting(BENCHES, benches).counting(BENCHES, workshop.clone()), workshop)
}

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.name == name).collect()
}

#[tokio::test]
async fn a_licensed_command_runs_and_its_success_is_audited_once() {
    let (testkit, _) = licensed();
    assert_eq!(testkit.run(Carve {}).await.unwrap(), 1);
    let events = testkit.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].name, events[0].result), ("command.succeeded", Outcome::Succeeded));
    assert_eq!(events[0].command.as_deref(), Some("workshop.chairs.carve"));
    assert_eq!(events[0].tenant, Some(testkit.tenant().to_string()));
}

#[tokio::test]
async fn a_denial_is_audited_once_with_its_reason_and_safe_ids_only() {
    let (testkit, workshop) = workshop();
    let fault = testkit.run(Carve {}).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::LicenseMissing));
    let events = testkit.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].name, "license.command.denied");
    assert_eq!(events[0].result, Outcome::PolicyDenied);
    assert_eq!(events[0].error_code.as_deref(), Some("LICENSE_MISSING"));
    let metadata: Vec<_> = events[0].metadata.iter().map(|(key, _)| key).collect();
    assert_eq!(metadata, ["deploymentId", "entitlementKey", "licenseStatus"]);
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_denied_callers_leave_sixty_four_events() {
    let (testkit, _) = workshop();
    let bus = testkit.bus().await;
    let calls = (0..64).map(|_| {
        let (bus, cx) = (bus.clone(), testkit.cx());
        tokio::spawn(async move { bus.dispatch(cx, Carve {}).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_err());
    }
    assert_eq!(named(&testkit.events().await, "license.command.denied").len(), 64);
}

#[tokio::test]
async fn the_caller_is_not_told_which_rule_decided() {
    let (testkit, _) = licensed();
    let testkit = testkit.denying("town.workshop.**");
    let fault = testkit.run(Carve {}).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::CommandDenied));
    let refusal = fault.refusal().unwrap();
    let told = format!("{} {:?}", refusal.message, refusal.details);
    assert!(!told.contains("**"), "{told}");
    assert!(pipeline_denial(&fault).because.contains("town.workshop.**"));
}

fn pipeline_denial<E>(fault: &Fault<E>) -> &descriptors::denial::Denial {
    chancery_pipeline::denial(fault).unwrap()
}

#[tokio::test]
async fn the_anonymous_get_one_answer_whether_or_not_the_command_is_licensed() {
    let mut answers = Vec::new();
    for (testkit, _) in [workshop(), licensed()] {
        let testkit = testkit.anonymous();
        let fault =
            testkit.run_json("workshop.chairs.carve", json!({ "no": "such field" })).await.unwrap_err();
        answers.push((fault.code().to_owned(), fault.to_string(), reason(&fault)));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], ("authentication_required".into(), "sign in first".into(), None));
}

#[tokio::test]
async fn who_may_not_run_a_command_does_not_learn_that_it_is_unlicensed() {
    let stranger = Testkit::new(&[], |_| Modules::none().mount(Workshop::default()))
        .with_catalog(Catalog::assemble([("workshop", CATALOG)]).unwrap())
        .guarded(workshop::POLICY, workshop::NobodyNamedEve);
    let fault = stranger.run(Carve {}).await.unwrap_err();
    assert_eq!(reason(&fault), None);
    assert_eq!(fault.refusal().unwrap().code, "permission_required");
    let events = stranger.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].result, Outcome::AuthFailure);
}

#[tokio::test]
async fn a_command_that_asks_for_two_factors_is_not_run_with_one() {
    let (testkit, _) = licensed();
    let fault = testkit.run(Polish {}).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().code, "insufficient_user_authentication");
}

#[tokio::test]
async fn a_command_that_asks_for_a_recent_sign_in_is_not_run_after_an_old_one() {
    let (testkit, _) = licensed();
    let signed_in = testkit.cx();
    testkit.pass(SignedDuration::from_mins(15));
    assert_eq!(testkit.run_in(signed_in.clone(), Sell {}).await.unwrap(), 1, "fifteen minutes are recent");
    testkit.pass(SignedDuration::from_secs(1));
    let fault = testkit.run_in(signed_in.clone(), Sell {}).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().code, "insufficient_user_authentication");
    assert_eq!(testkit.run_in(signed_in, Carve {}).await.unwrap(), 2, "others do not ask");
    assert_eq!(testkit.run(Sell {}).await.unwrap(), 3, "a new sign-in is recent");
}

#[tokio::test]
async fn whether_it_is_licensed_changes_nothing_for_the_anonymous_nor_for_an_old_sign_in() {
    let mut answers = Vec::new();
    for (testkit, _) in [workshop(), licensed()] {
        let signed_in = testkit.cx();
        testkit.pass(SignedDuration::from_mins(16));
        let old = testkit.run_in(signed_in, Sell {}).await.unwrap_err();
        let anonymous = testkit.anonymous().run(Sell {}).await.unwrap_err();
        let told = |fault: &Fault<workshop::Broken>| {
            let refusal = fault.refusal().unwrap();
            (refusal.code, refusal.message.clone(), refusal.details.clone(), reason(fault))
        };
        answers.push([told(&old), told(&anonymous)]);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][1].0, "authentication_required");
}

#[tokio::test]
async fn a_window_admits_exactly_its_limit_and_says_when_it_resets() {
    let (testkit, workshop) = licensed();
    for _ in 0..3 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
    let fault = testkit.run(Assemble { legs: 4 }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    assert_eq!(fault.refusal().unwrap().retry_after, Some(Duration::from_hours(24)));
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 3);
    testkit.pass(SignedDuration::from_hours(24));
    testkit.run(Assemble { legs: 4 }).await.unwrap();
}

#[tokio::test]
async fn a_window_ends_where_the_calendar_says_if_it_is_asked() {
    let (testkit, _) = licensed();
    let testkit = testkit.windowed(Windows::OfCalendar(TimeZone::UTC));
    for _ in 0..3 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
    let fault = testkit.run(Assemble { legs: 4 }).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().retry_after, Some(Duration::from_hours(12)), "it is noon");
    testkit.pass(SignedDuration::from_hours(12));
    testkit.run(Assemble { legs: 4 }).await.unwrap();
}

#[tokio::test]
async fn a_limit_that_no_window_could_fund_does_not_invite_to_wait() {
    let (testkit, _) = workshop();
    let testkit = testkit.licensed("town");
    let fault = testkit.run(Assemble { legs: 4 }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    assert_eq!(fault.refusal().unwrap().retry_after, None);
}

#[tokio::test]
async fn what_fails_or_panics_leaves_nothing_charged() {
    let (testkit, _) = licensed();
    for _ in 0..5 {
        assert!(matches!(testkit.run(Assemble { legs: 3 }).await, Err(Fault::Failed(_))));
        assert!(matches!(testkit.run(Assemble { legs: 0 }).await, Err(Fault::Panicked)));
    }
    for _ in 0..3 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_nothing_charged_and_is_audited_once() {
    let (testkit, workshop) = licensed();
    let (bus, cx) = (testkit.bus().await, testkit.cx());
    for _ in 0..4 {
        let call = tokio::spawn({
            let (bus, cx) = (bus.clone(), cx.clone());
            async move { bus.dispatch(cx, Waiting {}).await }
        });
        workshop.started.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    for _ in 0..3 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
    let events = testkit.events().await;
    let cancelled = named(&events, "command.cancelled");
    assert_eq!(cancelled.len(), 4);
    assert!(cancelled.iter().all(|event| event.result == Outcome::Failed));
}

#[tokio::test]
async fn a_call_that_is_stopped_at_its_deadline_leaves_nothing_charged() {
    let (testkit, _) = licensed();
    testkit.bus().await;
    tokio::time::pause();
    for _ in 0..4 {
        let cx = testkit.cx().with_timeout(Duration::from_secs(1));
        assert!(matches!(testkit.run_in(cx, Slow {}).await, Err(Fault::DeadlineExceeded)));
    }
    for _ in 0..3 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
}

#[tokio::test]
async fn an_attempt_is_charged_although_it_fails_where_the_catalog_says_so() {
    let (testkit, workshop) = licensed();
    for _ in 0..2 {
        assert!(matches!(testkit.run(Fail {}).await, Err(Fault::Failed(_))));
    }
    assert_eq!(reason(&testkit.run(Fail {}).await.unwrap_err()), Some(Reason::QuotaExceeded));
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn things_are_made_up_to_the_limit_and_waiting_does_not_help() {
    let (testkit, workshop) = counting(2);
    for _ in 0..2 {
        testkit.run(Build { breaks: false }).await.unwrap();
    }
    let fault = testkit.run(Build { breaks: false }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    assert_eq!(fault.refusal().unwrap().retry_after, None);
    workshop.benches.fetch_sub(1, Ordering::Relaxed);
    testkit.run(Build { breaks: false }).await.unwrap();
}

#[tokio::test]
async fn a_thing_that_was_not_made_leaves_its_place_and_its_units() {
    let (testkit, _) = counting(1);
    for _ in 0..5 {
        assert!(matches!(testkit.run(Build { breaks: true }).await, Err(Fault::Failed(_))));
    }
    testkit.run(Build { breaks: false }).await.unwrap();
}

#[tokio::test]
async fn a_command_that_finds_no_place_charges_no_units() {
    let (testkit, _) = counting(1);
    testkit.run(Build { breaks: false }).await.unwrap();
    for _ in 0..5 {
        let fault = testkit.run(Build { breaks: false }).await.unwrap_err();
        assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    }
    for _ in 0..2 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
    assert!(testkit.run(Assemble { legs: 4 }).await.is_err());
}

#[tokio::test]
async fn what_nobody_counts_is_denied() {
    let (testkit, workshop) = licensed();
    let testkit = testkit.limiting(BENCHES, 9);
    let fault = testkit.run(Build { breaks: false }).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::QuotaExceeded));
    assert_eq!(workshop.benches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_same_key_and_body_have_the_stored_answer_and_charge_nothing() {
    let (testkit, workshop) = licensed();
    let first = testkit.run_once("order-1", Assemble { legs: 4 }).await.unwrap();
    for _ in 0..9 {
        assert_eq!(testkit.run_once("order-1", Assemble { legs: 4 }).await.unwrap(), first);
    }
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 1);
    let fault = testkit.run_once("order-1", Assemble { legs: 5 }).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().code, "idempotency_key_reused");
    testkit.run_once("order-2", Assemble { legs: 4 }).await.unwrap();
}

#[tokio::test]
async fn a_failure_under_a_key_may_be_tried_again() {
    let (testkit, workshop) = licensed();
    assert!(testkit.run_once("order-1", Regret {}).await.is_err());
    assert!(testkit.run_once("order-1", Regret {}).await.is_ok());
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_call_under_a_key_goes_on_when_its_caller_goes_away_and_its_answer_waits() {
    let (testkit, workshop) = licensed();
    let key = IdempotencyKey::parse("order-1").unwrap();
    let (bus, cx) = (testkit.bus().await, testkit.cx().with_idempotency_key(key));
    let call = tokio::spawn({
        let (bus, cx) = (bus.clone(), cx.clone());
        async move { bus.dispatch(cx, Varnish {}).await }
    });
    workshop.started.notified().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let fault = bus.dispatch(cx.clone(), Varnish {}).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().code, "idempotency_key_in_use");
    workshop.finish.notify_one();
    let answer = loop {
        match bus.dispatch(cx.clone(), Varnish {}).await {
            Ok(answer) => break answer,
            Err(fault) => assert_eq!(fault.refusal().unwrap().code, "idempotency_key_in_use"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((answer, workshop.runs.load(Ordering::Relaxed)), (1, 1));
    for _ in 0..2 {
        testkit.run(Assemble { legs: 4 }).await.unwrap();
    }
    assert_eq!(reason(&testkit.run(Assemble { legs: 4 }).await.unwrap_err()), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn the_anonymous_share_no_stored_answers() {
    let (testkit, _) = licensed();
    let testkit = testkit.anonymous();
    testkit.run(Look {}).await.unwrap();
    let fault = testkit.run_once("order-1", Look {}).await.unwrap_err();
    assert_eq!(fault.refusal().unwrap().code, "idempotency_needs_a_caller");
}

#[tokio::test]
async fn no_caller_keeps_a_call_running_longer_than_the_house_allows() {
    let (testkit, _) = licensed();
    testkit.bus().await;
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let cx = testkit.cx().with_timeout(Duration::from_hours(48));
    assert!(matches!(testkit.run_in(cx, Slow {}).await, Err(Fault::DeadlineExceeded)));
    assert!(before.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn a_call_for_no_tenant_counts_against_the_platform() {
    let (testkit, _) = licensed();
    let cx = || Cx::new(testkit.cx().ambient().clone(), Principal::System);
    for _ in 0..3 {
        testkit.run_in(cx(), Assemble { legs: 4 }).await.unwrap();
    }
    assert_eq!(
        reason(&testkit.run_in(cx(), Assemble { legs: 4 }).await.unwrap_err()),
        Some(Reason::QuotaExceeded)
    );
    assert_eq!(reason(&testkit.run(Assemble { legs: 4 }).await.unwrap_err()), Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn a_guard_refuses_before_anything_is_charged() {
    let (testkit, _) = licensed();
    for _ in 0..5 {
        let fault = testkit.run(Guarded { name: "eve".into() }).await.unwrap_err();
        assert_eq!(fault.refusal().unwrap().code, "not_you");
    }
    for _ in 0..3 {
        testkit.run(Guarded { name: "ada".into() }).await.unwrap();
    }
}

#[tokio::test]
async fn a_gap_is_denied_in_deny_mode() {
    let (testkit, workshop) = licensed();
    assert_eq!(reason(&testkit.run(Sketch {}).await.unwrap_err()), Some(Reason::MissingDescriptor));
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gap_runs_in_warn_mode_and_is_reported_once_under_many_callers() {
    let (testkit, workshop) = licensed();
    let testkit = testkit.warning();
    let bus = testkit.bus().await;
    let calls = (0..64).map(|_| {
        let (bus, cx) = (bus.clone(), testkit.cx());
        tokio::spawn(async move { bus.dispatch(cx, Sketch {}).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 64);
    let events = testkit.events().await;
    let warnings = named(&events, "license.command.descriptor-missing");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].error_code.as_deref(), Some("MISSING_DESCRIPTOR"));
    assert_eq!(warnings[0].result, Outcome::Warning);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_deny_mode_sixty_four_callers_of_a_gap_leave_sixty_four_denials_and_no_warning() {
    let (testkit, workshop) = licensed();
    let bus = testkit.bus().await;
    let calls = (0..64).map(|_| {
        let (bus, cx) = (bus.clone(), testkit.cx());
        tokio::spawn(async move { bus.dispatch(cx, Sketch {}).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(reason(&call.await.unwrap().unwrap_err()), Some(Reason::MissingDescriptor));
    }
    assert_eq!(workshop.runs.load(Ordering::Relaxed), 0);
    let events = testkit.events().await;
    assert_eq!(events.len(), 64);
    assert_eq!(named(&events, "license.command.denied").len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_warn_mode_sixty_four_denied_callers_leave_one_event_each() {
    let (testkit, _) = workshop();
    let testkit = testkit.warning();
    let bus = testkit.bus().await;
    let calls = (0..64).map(|_| {
        let (bus, cx) = (bus.clone(), testkit.cx());
        tokio::spawn(async move { bus.dispatch(cx, Carve {}).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(reason(&call.await.unwrap().unwrap_err()), Some(Reason::LicenseMissing));
    }
    let events = testkit.events().await;
    assert_eq!((events.len(), named(&events, "license.command.denied").len()), (64, 64));
}

fn at_run_time() -> Commands {
    let access = Access::builder().authenticated().build();
    let echo = |id: &str| RuntimeCommand::new(id, |_cx, value| async move { Ok::<Value, _>(value) });
    let sold = LicenseDescriptor::builder(EntitlementKey::literal("town.plugin.text.sold")).build();
    Commands::none()
        .with(echo("plugin.text.bare"))
        .with(
            echo("plugin.text.broken")
                .summary("Break")
                .facet(access)
                .facet(MalformedDescriptor(DescriptorError::ExemptButMetered)),
        )
        .with(echo("plugin.text.sold").summary("Sell").facet(access).facet(sold))
}

#[tokio::test]
async fn a_command_known_at_run_time_meets_the_same_gates() {
    let (testkit, _) = licensed();
    let testkit = testkit.with_commands(at_run_time);
    assert_eq!(testkit.run_json("plugin.text.sold", json!(1)).await.unwrap(), json!(1));
    let fault = testkit.run_json("plugin.text.broken", json!(1)).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::MalformedDescriptor));
    let fault = testkit.run_json("plugin.text.bare", json!(1)).await.unwrap_err();
    assert!(matches!(fault, Fault::Unknown(_)), "it does not say who may run it");
}

#[tokio::test]
async fn a_malformed_descriptor_is_denied_in_warn_mode_too_and_a_missing_contract_is_a_gap() {
    let (testkit, _) = licensed();
    let testkit = testkit.with_commands(at_run_time).warning();
    let fault = testkit.run_json("plugin.text.broken", json!(1)).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::MalformedDescriptor));
    let (testkit, _) = licensed();
    let fault = testkit.with_commands(at_run_time).as_system().run_json("plugin.text.bare", json!(1)).await;
    assert_eq!(reason(&fault.unwrap_err()), Some(Reason::MissingContract));
}

#[tokio::test]
async fn the_clock_alone_ends_a_license() {
    let (testkit, _) = licensed();
    testkit.run(Carve {}).await.unwrap();
    testkit.pass(SignedDuration::from_hours(24 * 30));
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::LicenseExpired));
}

#[tokio::test]
async fn a_development_license_does_not_count_in_production() {
    let (testkit, _) = licensed();
    let testkit = testkit.shaped(DeploymentShape::stating([("environment", "production")]));
    assert_eq!(reason(&testkit.run(Carve {}).await.unwrap_err()), Some(Reason::LicenseInvalid));
}

#[tokio::test]
async fn input_is_looked_at_only_by_who_may_use_it() {
    let (unlicensed, _) = workshop();
    let fault = unlicensed.run_json("workshop.chairs.assemble", json!({ "legs": "four" })).await.unwrap_err();
    assert_eq!(reason(&fault), Some(Reason::LicenseMissing));
    let (testkit, _) = licensed();
    let fault = testkit.run_json("workshop.chairs.assemble", json!({ "legs": "four" })).await.unwrap_err();
    assert!(matches!(&fault, Fault::Input(error) if error.path() == "legs"), "{fault}");
}

#[tokio::test]
async fn a_failure_of_the_handler_is_audited_as_one() {
    let (testkit, _) = licensed();
    testkit.run(Fail {}).await.unwrap_err();
    let events = testkit.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].name, events[0].result), ("command.failed", Outcome::Failed));
}
