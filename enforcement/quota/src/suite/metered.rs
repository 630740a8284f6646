//! The laws of [`MeteredStore`].

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::eventually;
use crate::{
    Charge, Exhausted, Limit, MeteredStore, Projection, QuotaError, Recorded, Reservation, Scope,
    TenantShare, Usage, Window,
};

type Store = Arc<dyn MeteredStore>;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_secs(30);
const AMPLE: u64 = 1_000_000;

/// A call of tenant `acme` that costs one unit.
fn charge(limit: u64) -> Charge<'static> {
    Charge {
        quota: "messages.sent",
        units: NonZeroU64::MIN,
        window: window(0),
        platform_limit: AMPLE,
        tenant: Some(TenantShare { id: "acme", limit }),
    }
}

fn weighing(units: u64, charge: Charge<'_>) -> Charge<'_> {
    Charge { units: NonZeroU64::new(units).unwrap(), ..charge }
}

fn of<'a>(tenant: &'a str, charge: Charge<'a>) -> Charge<'a> {
    Charge { tenant: charge.tenant.map(|share| TenantShare { id: tenant, ..share }), ..charge }
}

/// The n-th hour.
fn window(n: i64) -> Window {
    let hour = |n| NOON + SignedDuration::from_hours(n);
    Window { start: hour(n), end: hour(n + 1) }
}

fn after_ttl() -> Timestamp {
    NOON + TTL
}

async fn reserve(store: &Store, charges: &[Charge<'_>]) -> Result<Reservation, QuotaError> {
    store.reserve(charges, TTL, NOON).await
}

async fn spend(store: &Store, charges: &[Charge<'_>]) -> Result<(), QuotaError> {
    reserve(store, charges).await?.commit().await
}

async fn usage(store: &Store, tenant: Option<&str>, charge: Charge<'_>) -> Usage {
    usage_at(NOON, store, tenant, charge).await
}

async fn usage_at(now: Timestamp, store: &Store, tenant: Option<&str>, charge: Charge<'_>) -> Usage {
    let limit = Limit { quota: charge.quota, limit: AMPLE, window: charge.window };
    let projections = store.projection(tenant, &[limit], now).await.unwrap();
    let [Projection { used, reserved, .. }] = projections[..] else { panic!("{projections:?}") };
    Usage { used, reserved }
}

async fn acme(store: &Store) -> Usage {
    usage(store, Some("acme"), charge(0)).await
}

async fn platform(store: &Store) -> Usage {
    usage(store, None, charge(0)).await
}

fn assert_exhausted<T>(outcome: Result<T, QuotaError>) {
    assert!(matches!(outcome, Err(QuotaError::Exhausted(_))), "{:?}", outcome.err());
}

pub async fn sequential_callers_are_admitted_up_to_exactly_the_limit(store: Store) {
    for _ in 0..7 {
        spend(&store, &[charge(7)]).await.unwrap();
    }
    assert_exhausted(spend(&store, &[charge(7)]).await);
    assert_eq!(acme(&store).await, Usage { used: 7, reserved: 0 });
}

pub async fn concurrent_callers_never_exceed_the_limit_and_reach_it(store: Store) {
    let callers: Vec<_> = (0..32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let tenant = if n % 2 == 0 { "even" } else { "odd" };
                let charge = Charge { platform_limit: 20, ..of(tenant, charge(12)) };
                spend(&store, &[charge]).await
            })
        })
        .collect();
    let mut admitted = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(()) => admitted += 1,
            denied => assert_exhausted(denied),
        }
    }
    assert_eq!(admitted, 20);
    assert_eq!(platform(&store).await, Usage { used: 20, reserved: 0 });
    let even = usage(&store, Some("even"), charge(0)).await;
    let odd = usage(&store, Some("odd"), charge(0)).await;
    assert!(even.used <= 12 && odd.used <= 12, "{even:?} {odd:?}");
    assert_eq!(even.used + odd.used, 20);
}

pub async fn concurrent_callers_over_several_quotas_do_not_block_each_other(store: Store) {
    let callers: Vec<_> = (0..32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut charges = [charge(AMPLE), Charge { quota: "bytes.sent", ..charge(AMPLE) }];
                if n % 2 == 0 {
                    charges.reverse();
                }
                let reservation = reserve(&store, &charges).await?;
                if n % 3 == 0 { reservation.release().await } else { reservation.commit().await }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(acme(&store).await, Usage { used: 21, reserved: 0 });
}

pub async fn calls_in_a_row_leave_all_other_room_to_whoever_comes_next(store: Store) {
    for _ in 0..5 {
        spend(&store, &[charge(10)]).await.unwrap();
    }
    assert_eq!(acme(&store).await, Usage { used: 5, reserved: 0 });
    spend(&store, &[charge(10)]).await.unwrap();
    assert_exhausted(spend(&store, &[weighing(5, charge(10))]).await);
    spend(&store, &[weighing(4, charge(10))]).await.unwrap();
    assert_exhausted(spend(&store, &[charge(10)]).await);
}

pub async fn the_last_of_a_row_of_calls_expires_in_its_own_time(store: Store) {
    for _ in 0..5 {
        spend(&store, &[charge(6)]).await.unwrap();
    }
    let later = NOON + SignedDuration::from_secs(10);
    let _crashed = store.reserve(&[charge(6)], TTL, later).await.unwrap();
    assert_exhausted(store.reserve(&[charge(6)], TTL, after_ttl()).await);
    store.reserve(&[charge(6)], TTL, later + TTL).await.unwrap().commit().await.unwrap();
}

pub async fn a_weight_counts_as_that_many_units(store: Store) {
    let heavy = weighing(4, charge(10));
    spend(&store, &[heavy]).await.unwrap();
    spend(&store, &[heavy]).await.unwrap();
    assert_exhausted(spend(&store, &[heavy]).await);
    spend(&store, &[weighing(2, charge(10))]).await.unwrap();
    assert_eq!(acme(&store).await.used, 10);
}

pub async fn released_units_can_be_spent_again(store: Store) {
    let reservation = reserve(&store, &[charge(1)]).await.unwrap();
    assert_exhausted(reserve(&store, &[charge(1)]).await);
    reservation.release().await.unwrap();
    spend(&store, &[charge(1)]).await.unwrap();
}

pub async fn a_dropped_reservation_is_given_back(store: Store) {
    drop(reserve(&store, &[charge(1)]).await.unwrap());
    let again = eventually(async || reserve(&store, &[charge(1)]).await.ok()).await;
    again.commit().await.unwrap();
}

pub async fn a_reservation_that_nobody_waited_for_is_given_back(store: Store) {
    for _ in 0..50 {
        let charges = [charge(1)];
        let mut reserving = Box::pin(store.reserve(&charges, TTL, NOON));
        // Polled once at most, and then the caller is gone.
        let _ = tokio::time::timeout(Duration::ZERO, &mut reserving).await.map(drop);
        drop(reserving);
        let again = eventually(async || reserve(&store, &[charge(1)]).await.ok()).await;
        again.release().await.unwrap();
    }
    assert_eq!(acme(&store).await, Usage::default());
}

pub async fn a_commit_that_nobody_waited_for_is_made(store: Store) {
    drop(reserve(&store, &[charge(1)]).await.unwrap().commit());
    let made = async || (acme(&store).await == Usage { used: 1, reserved: 0 }).then_some(());
    eventually(made).await;
}

pub async fn a_panicking_call_gives_its_units_back(store: Store) {
    let panicking = tokio::spawn({
        let store = store.clone();
        async move {
            let _running = reserve(&store, &[charge(1)]).await.unwrap();
            panic!("a law is being tested");
        }
    });
    assert!(panicking.await.unwrap_err().is_panic());
    eventually(async || reserve(&store, &[charge(1)]).await.ok()).await.commit().await.unwrap();
}

pub async fn a_denied_call_consumes_nothing(store: Store) {
    spend(&store, &[charge(1)]).await.unwrap();
    let before = (acme(&store).await, platform(&store).await);
    for _ in 0..3 {
        assert_exhausted(spend(&store, &[charge(1)]).await);
    }
    assert_eq!((acme(&store).await, platform(&store).await), before);
}

pub async fn a_denial_names_the_bucket_and_when_it_resets(store: Store) {
    spend(&store, &[charge(3)]).await.unwrap();
    let _running = reserve(&store, &[charge(3)]).await.unwrap();
    let denied = reserve(&store, &[weighing(2, charge(3))]).await.unwrap_err();
    let QuotaError::Exhausted(denied) = denied else { panic!("{denied}") };
    let Exhausted { quota, scope, limit, used, resets_at } = *denied;
    assert_eq!((quota.as_str(), scope, limit, used), ("messages.sent", Scope::Tenant, 3, 2));
    assert_eq!(resets_at, window(0).end);
}

pub async fn several_charges_are_reserved_all_or_none(store: Store) {
    let (scarce, ample) = (Charge { quota: "scarce", ..charge(1) }, Charge { quota: "ample", ..charge(9) });
    spend(&store, &[ample, scarce]).await.unwrap();
    for charges in [[ample, scarce], [scarce, ample]] {
        assert_exhausted(reserve(&store, &charges).await);
    }
    for tenant in [Some("acme"), None] {
        assert_eq!(usage(&store, tenant, ample).await, Usage { used: 1, reserved: 0 });
        assert_eq!(usage(&store, tenant, scarce).await, Usage { used: 1, reserved: 0 });
    }
}

pub async fn charges_of_one_quota_add_up(store: Store) {
    assert_exhausted(reserve(&store, &[charge(1), charge(1)]).await);
    spend(&store, &[charge(2), charge(2)]).await.unwrap();
    assert_eq!(acme(&store).await, Usage { used: 2, reserved: 0 });
}

pub async fn tenants_do_not_share_a_bucket(store: Store) {
    spend(&store, &[charge(1)]).await.unwrap();
    spend(&store, &[of("globex", charge(1))]).await.unwrap();
    assert_exhausted(spend(&store, &[charge(1)]).await);
    assert_eq!(platform(&store).await.used, 2);
}

pub async fn hostile_tenant_ids_do_not_share_a_bucket(store: Store) {
    let long = "x".repeat(10_000);
    let longer = format!("{long}y");
    let ids = [
        "",
        " ",
        "platform",
        "tenant",
        "*",
        "%",
        "'; DROP TABLE quota_bucket; --",
        "a/messages.sent",
        "a",
        "A",
        "ä",
        "a\u{308}",
        "\0",
        "a\0",
        "a\0b",
        "\u{feff}a",
        "NULL",
        &long,
        &longer,
    ];
    for id in ids {
        spend(&store, &[of(id, charge(1))]).await.unwrap();
        assert_exhausted(spend(&store, &[of(id, charge(1))]).await);
    }
    assert_eq!(platform(&store).await.used, ids.len() as u64);
}

pub async fn the_platform_limit_stops_a_tenant_that_has_room(store: Store) {
    let capped = |tenant| Charge { platform_limit: 2, ..of(tenant, charge(AMPLE)) };
    spend(&store, &[capped("acme")]).await.unwrap();
    spend(&store, &[capped("globex")]).await.unwrap();
    let denied = spend(&store, &[capped("acme")]).await.unwrap_err();
    assert!(
        matches!(&denied, QuotaError::Exhausted(of) if (of.scope, of.limit, of.used) == (Scope::Platform, 2, 2)),
        "{denied}"
    );
    assert_eq!(acme(&store).await.used, 1);
}

pub async fn a_call_in_platform_scope_counts_against_the_platform_only(store: Store) {
    let operator = Charge { tenant: None, platform_limit: 1, ..charge(0) };
    spend(&store, &[operator]).await.unwrap();
    assert_exhausted(spend(&store, &[operator]).await);
    assert_eq!(platform(&store).await.used, 1);
    assert_eq!(usage(&store, Some(""), operator).await, Usage::default());
}

pub async fn an_expired_reservation_frees_its_units(store: Store) {
    let _crashed = reserve(&store, &[charge(1)]).await.unwrap();
    let just_before = after_ttl() - SignedDuration::from_micros(1);
    assert_exhausted(store.reserve(&[charge(1)], TTL, just_before).await);
    store.reserve(&[charge(1)], TTL, after_ttl()).await.unwrap().commit().await.unwrap();
}

pub async fn an_expired_reservation_of_the_platform_frees_its_units(store: Store) {
    let alone = Charge { platform_limit: 1, tenant: None, ..charge(1) };
    let _crashed = reserve(&store, &[alone]).await.unwrap();
    assert_exhausted(reserve(&store, &[alone]).await);
    store.reserve(&[alone], TTL, after_ttl()).await.unwrap().commit().await.unwrap();
    assert_eq!(platform(&store).await, Usage { used: 1, reserved: 0 });
}

pub async fn an_expired_reservation_whose_units_are_gone_cannot_be_committed(store: Store) {
    let late = reserve(&store, &[charge(1)]).await.unwrap();
    store.reserve(&[charge(1)], TTL, after_ttl()).await.unwrap().commit().await.unwrap();
    assert!(matches!(late.commit().await, Err(QuotaError::Expired)));
    assert_eq!(acme(&store).await, Usage { used: 1, reserved: 0 });
}

pub async fn an_expired_reservation_is_never_charged_in_part(store: Store) {
    let other = Charge { quota: "bytes.sent", ..charge(9) };
    let late = reserve(&store, &[charge(1), other]).await.unwrap();
    store.reserve(&[charge(1)], TTL, after_ttl()).await.unwrap().release().await.unwrap();
    assert!(matches!(late.commit().await, Err(QuotaError::Expired)));
    assert_eq!(acme(&store).await.used, 0);
    assert_eq!(usage(&store, Some("acme"), other).await.used, 0);
}

pub async fn a_clock_that_steps_back_frees_nothing_and_charges_what_was_held(store: Store) {
    let running = reserve(&store, &[charge(2)]).await.unwrap();
    let before = NOON - SignedDuration::from_mins(5);
    let other = store.reserve(&[charge(2)], TTL, before).await.unwrap();
    assert_exhausted(store.reserve(&[charge(2)], TTL, before).await);
    // What was reserved by the clock that was behind has expired by the other, and goes to whoever needs it.
    let heir = store.reserve(&[charge(2)], TTL, NOON).await.unwrap();
    assert!(matches!(other.commit().await, Err(QuotaError::Expired)));
    running.commit().await.unwrap();
    heir.commit().await.unwrap();
    assert_eq!(acme(&store).await, Usage { used: 2, reserved: 0 });
}

pub async fn a_raised_limit_applies_at_once(store: Store) {
    spend(&store, &[charge(1)]).await.unwrap();
    assert_exhausted(spend(&store, &[charge(1)]).await);
    spend(&store, &[charge(2)]).await.unwrap();
}

pub async fn a_lowered_limit_applies_at_once(store: Store) {
    for _ in 0..5 {
        spend(&store, &[charge(9)]).await.unwrap();
    }
    assert_exhausted(spend(&store, &[charge(3)]).await);
    assert_exhausted(spend(&store, &[charge(5)]).await);
    assert_eq!(acme(&store).await, Usage { used: 5, reserved: 0 });
}

pub async fn a_new_window_starts_at_zero(store: Store) {
    spend(&store, &[charge(1)]).await.unwrap();
    let next = Charge { window: window(1), ..charge(1) };
    assert_eq!(usage(&store, Some("acme"), next).await, Usage::default());
    store.reserve(&[next], TTL, next.window.start).await.unwrap().commit().await.unwrap();
    assert_exhausted(store.reserve(&[next], TTL, next.window.start).await);
}

pub async fn usage_tells_used_from_reserved(store: Store) {
    assert_eq!(acme(&store).await, Usage::default());
    spend(&store, &[weighing(3, charge(9))]).await.unwrap();
    let running = reserve(&store, &[weighing(2, charge(9))]).await.unwrap();
    for tenant in [Some("acme"), None] {
        assert_eq!(usage(&store, tenant, charge(9)).await, Usage { used: 3, reserved: 2 });
        let later = usage_at(after_ttl(), &store, tenant, charge(9)).await;
        assert_eq!(later, Usage { used: 3, reserved: 0 }, "what has expired is not reserved");
    }
    running.commit().await.unwrap();
    assert_eq!(acme(&store).await, Usage { used: 5, reserved: 0 });
}

pub async fn no_limit_is_too_large_and_no_charge_overflows(store: Store) {
    let unlimited = Charge { platform_limit: u64::MAX, ..charge(u64::MAX) };
    spend(&store, &[unlimited]).await.unwrap();
    assert_exhausted(reserve(&store, &[weighing(u64::MAX, unlimited)]).await);
    assert_exhausted(reserve(&store, &[weighing(i64::MAX.unsigned_abs(), unlimited)]).await);
    spend(&store, &[weighing(i64::MAX.unsigned_abs() - 1, unlimited)]).await.unwrap();
    assert_exhausted(reserve(&store, &[unlimited]).await);
}

pub async fn a_projection_tells_limit_use_window_and_cap(store: Store) {
    spend(&store, &[weighing(3, charge(9))]).await.unwrap();
    let _running = reserve(&store, &[charge(9)]).await.unwrap();
    let other = Limit { quota: "bytes.sent", limit: 0, window: window(0) };
    let messages = Limit { quota: "messages.sent", limit: 4, window: window(0) };
    let projections = store.projection(Some("acme"), &[other, messages], NOON).await.unwrap();
    let [ref bytes, ref messages] = projections[..] else { panic!("{projections:?}") };
    assert_eq!((bytes.quota.as_str(), bytes.used, bytes.at_cap), ("bytes.sent", 0, true));
    assert_eq!((messages.quota.as_str(), messages.limit), ("messages.sent", 4));
    assert_eq!((messages.used, messages.reserved, messages.at_cap), (3, 1, true));
    assert_eq!(messages.window, Some(window(0)));
}

pub async fn a_projection_forecasts_when_the_limit_is_reached(store: Store) {
    spend(&store, &[weighing(3, charge(9))]).await.unwrap();
    let minutes = |n| NOON + SignedDuration::from_mins(n);
    let forecast = async |limit, now| {
        let limit = Limit { quota: "messages.sent", limit, window: window(0) };
        store.projection(None, &[limit], now).await.unwrap().remove(0).runs_out_at
    };
    assert_eq!(forecast(9, minutes(10)).await, Some(minutes(30)));
    assert_eq!(forecast(17, minutes(10)).await, Some(NOON + SignedDuration::from_secs(3400)));
    assert_eq!(forecast(18, minutes(10)).await, None, "it lasts to the end of the window");
    assert_eq!(forecast(3, minutes(10)).await, Some(minutes(10)), "it has run out");
    assert_eq!(forecast(9, NOON).await, None, "nothing is known yet");
}

pub async fn a_projection_charges_nothing(store: Store) {
    spend(&store, &[charge(2)]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(acme(&store).await, Usage { used: 1, reserved: 0 });
    }
    spend(&store, &[charge(2)]).await.unwrap();
}

pub async fn everything_that_was_counted_is_told(store: Store) {
    let ids = ["a", "A", "\0", "a\u{308}", "'\"%_\\"];
    for id in ids {
        spend(&store, &[weighing(2, of(id, charge(9)))]).await.unwrap();
    }
    let next = Charge { window: window(1), ..charge(9) };
    let _running = reserve(&store, &[next]).await.unwrap();
    let mut told = store.usage(NOON).await.unwrap();
    let recorded = |tenant: Option<&str>, n, used, reserved| Recorded {
        tenant: tenant.map(str::to_owned),
        quota: "messages.sent".to_owned(),
        window: window(n),
        usage: Usage { used, reserved },
    };
    let mut expected: Vec<_> = ids.iter().map(|id| recorded(Some(id), 0, 2, 0)).collect();
    expected.push(recorded(None, 0, 10, 0));
    expected.push(recorded(None, 1, 0, 1));
    expected.push(recorded(Some("acme"), 1, 0, 1));
    let key = |of: &Recorded| (of.tenant.clone(), of.window);
    told.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(told, expected);
    let later = store.usage(after_ttl()).await.unwrap();
    assert!(later.iter().all(|recorded| recorded.usage.reserved == 0), "{later:?}");
}
