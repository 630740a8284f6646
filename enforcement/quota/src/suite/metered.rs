//! The laws of [`MeteredStore`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::eventually;
use crate::{Charge, MeteredStore, QuotaError, Reservation, Scope, TenantShare, Usage, Window};

type Store = Arc<dyn MeteredStore>;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_secs(30);
const AMPLE: u64 = 1_000_000;

/// A call of tenant `acme` that costs one unit.
fn charge(limit: u64) -> Charge<'static> {
    Charge {
        quota: "messages.sent",
        units: 1,
        window: window(0),
        platform_limit: AMPLE,
        tenant: Some(TenantShare { id: "acme", limit }),
    }
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
    store.usage(tenant, charge.quota, charge.window, NOON).await.unwrap()
}

async fn acme(store: &Store) -> Usage {
    usage(store, Some("acme"), charge(0)).await
}

async fn platform(store: &Store) -> Usage {
    usage(store, None, charge(0)).await
}

fn assert_exhausted<T>(outcome: Result<T, QuotaError>) {
    assert!(matches!(outcome, Err(QuotaError::Exhausted { .. })), "{:?}", outcome.err());
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

pub async fn a_weight_counts_as_that_many_units(store: Store) {
    let heavy = Charge { units: 4, ..charge(10) };
    spend(&store, &[heavy]).await.unwrap();
    spend(&store, &[heavy]).await.unwrap();
    assert_exhausted(spend(&store, &[heavy]).await);
    spend(&store, &[Charge { units: 2, ..charge(10) }]).await.unwrap();
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
    let denied = reserve(&store, &[Charge { units: 2, ..charge(3) }]).await.unwrap_err();
    let QuotaError::Exhausted { quota, scope, limit, used, resets_at } = denied else { panic!("{denied}") };
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
        matches!(denied, QuotaError::Exhausted { scope: Scope::Platform, limit: 2, used: 2, .. }),
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

pub async fn an_expired_reservation_whose_units_are_gone_cannot_be_committed(store: Store) {
    let late = reserve(&store, &[charge(1)]).await.unwrap();
    store.reserve(&[charge(1)], TTL, after_ttl()).await.unwrap().commit().await.unwrap();
    assert!(matches!(late.commit().await, Err(QuotaError::Expired)));
    assert_eq!(acme(&store).await, Usage { used: 1, reserved: 0 });
}

pub async fn an_expired_reservation_is_never_charged_in_part(store: Store) {
    let other = Charge { quota: "bytes.sent", ..charge(9) };
    let late = reserve(&store, &[charge(9), other]).await.unwrap();
    store.reserve(&[charge(9)], TTL, after_ttl()).await.unwrap().release().await.unwrap();
    assert!(matches!(late.commit().await, Err(QuotaError::Expired)));
    assert_eq!(acme(&store).await.used, 0);
    assert_eq!(usage(&store, Some("acme"), other).await.used, 0);
}

pub async fn a_raised_limit_applies_at_once(store: Store) {
    spend(&store, &[charge(1)]).await.unwrap();
    assert_exhausted(spend(&store, &[charge(1)]).await);
    spend(&store, &[charge(2)]).await.unwrap();
}

pub async fn a_lowered_limit_applies_at_once(store: Store) {
    spend(&store, &[Charge { units: 5, ..charge(9) }]).await.unwrap();
    assert_exhausted(spend(&store, &[charge(3)]).await);
    assert_eq!(acme(&store).await.used, 5);
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
    spend(&store, &[Charge { units: 3, ..charge(9) }]).await.unwrap();
    let running = reserve(&store, &[Charge { units: 2, ..charge(9) }]).await.unwrap();
    for tenant in [Some("acme"), None] {
        assert_eq!(usage(&store, tenant, charge(9)).await, Usage { used: 3, reserved: 2 });
        let later = store.usage(tenant, "messages.sent", window(0), after_ttl()).await.unwrap();
        assert_eq!(later, Usage { used: 3, reserved: 0 }, "what has expired is not reserved");
    }
    running.commit().await.unwrap();
    assert_eq!(acme(&store).await, Usage { used: 5, reserved: 0 });
}

pub async fn no_limit_is_too_large_and_no_charge_overflows(store: Store) {
    let unlimited = Charge { platform_limit: u64::MAX, ..charge(u64::MAX) };
    spend(&store, &[unlimited]).await.unwrap();
    assert_exhausted(reserve(&store, &[Charge { units: u64::MAX, ..unlimited }]).await);
    assert_exhausted(reserve(&store, &[Charge { units: i64::MAX.unsigned_abs(), ..unlimited }]).await);
    spend(&store, &[Charge { units: i64::MAX.unsigned_abs() - 1, ..unlimited }]).await.unwrap();
    assert_exhausted(reserve(&store, &[unlimited]).await);
}
