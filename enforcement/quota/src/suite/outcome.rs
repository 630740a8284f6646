//! The laws of [`OutcomeStore`].

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::eventually;
use crate::{Claim, ClaimGuard, ClaimRequest, LARGEST_OUTCOME, Lifetimes, OutcomeError, OutcomeStore};

type Store = Arc<dyn OutcomeStore>;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const LIFETIMES: Lifetimes = Lifetimes { pending: Duration::from_mins(1), stored: Duration::from_hours(24) };
const OUTCOME: &str = r#"{"id":"7"}"#;

const REQUEST: ClaimRequest<'static> = ClaimRequest {
    tenant: Some("acme"),
    command: "tenancy.tenants.create",
    caller: "ada",
    key: "key-1",
    fingerprint: "body-1",
};

async fn ask(store: &Store, request: ClaimRequest<'_>, now: Timestamp) -> Claim {
    store.claim(request, LIFETIMES, now).await.unwrap()
}

async fn take(store: &Store, request: ClaimRequest<'_>, now: Timestamp) -> ClaimGuard {
    match ask(store, request, now).await {
        Claim::New(guard) => guard,
        other => panic!("expected a new claim, not {other:?}"),
    }
}

pub async fn a_completed_call_is_replayed(store: Store) {
    take(&store, REQUEST, NOON).await.complete(OUTCOME.to_owned()).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(ask(&store, REQUEST, NOON).await, Claim::Replay(outcome) if outcome == OUTCOME));
    }
}

pub async fn a_running_call_is_in_flight(store: Store) {
    let running = take(&store, REQUEST, NOON).await;
    assert!(matches!(ask(&store, REQUEST, NOON).await, Claim::InFlight));
    running.complete(OUTCOME.to_owned()).await.unwrap();
}

pub async fn another_body_under_the_same_key_is_refused(store: Store) {
    let other = ClaimRequest { fingerprint: "body-2", ..REQUEST };
    let running = take(&store, REQUEST, NOON).await;
    assert!(matches!(ask(&store, other, NOON).await, Claim::Mismatch));
    running.complete(OUTCOME.to_owned()).await.unwrap();
    assert!(matches!(ask(&store, other, NOON).await, Claim::Mismatch));
}

pub async fn an_abandoned_call_can_be_made_again(store: Store) {
    take(&store, REQUEST, NOON).await.abandon().await.unwrap();
    take(&store, ClaimRequest { fingerprint: "body-2", ..REQUEST }, NOON).await.abandon().await.unwrap();
}

pub async fn a_dropped_claim_is_abandoned(store: Store) {
    drop(take(&store, REQUEST, NOON).await);
    let again = eventually(async || match ask(&store, REQUEST, NOON).await {
        Claim::New(guard) => Some(guard),
        _ => None,
    });
    again.await.complete(OUTCOME.to_owned()).await.unwrap();
}

pub async fn of_concurrent_claims_exactly_one_is_new(store: Store) {
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { ask(&store, REQUEST, NOON).await })
        })
        .collect();
    let mut guards = Vec::new();
    for caller in callers {
        match caller.await.unwrap() {
            Claim::New(guard) => guards.push(guard),
            other => assert!(matches!(other, Claim::InFlight), "{other:?}"),
        }
    }
    assert_eq!(guards.len(), 1);
}

pub async fn different_calls_do_not_share_a_key(store: Store) {
    let long = "x".repeat(10_000);
    let mut guards = Vec::new();
    for request in [
        REQUEST,
        ClaimRequest { tenant: Some("globex"), ..REQUEST },
        ClaimRequest { tenant: None, ..REQUEST },
        ClaimRequest { tenant: Some(""), ..REQUEST },
        ClaimRequest { command: "tenancy.tenants.delete", ..REQUEST },
        ClaimRequest { caller: "eve", ..REQUEST },
        ClaimRequest { caller: "adakey-", key: "1", ..REQUEST },
        ClaimRequest { caller: "", key: "adakey-1", ..REQUEST },
        ClaimRequest { key: "key-1\0", ..REQUEST },
        ClaimRequest { key: &long, ..REQUEST },
    ] {
        guards.push(take(&store, request, NOON).await);
    }
    for guard in guards {
        guard.abandon().await.unwrap();
    }
}

pub async fn a_claim_whose_caller_died_expires(store: Store) {
    let _crashed = take(&store, REQUEST, NOON).await;
    let later = NOON + LIFETIMES.pending;
    take(&store, REQUEST, later).await.complete(OUTCOME.to_owned()).await.unwrap();
}

pub async fn an_expired_claim_that_was_taken_over_cannot_be_settled(store: Store) {
    let [noon, then, still_later] = [0, 1, 2].map(|n| NOON + LIFETIMES.pending * n);
    let first = take(&store, REQUEST, noon).await;
    let second = take(&store, REQUEST, then).await;
    let heir = take(&store, REQUEST, still_later).await;
    assert!(matches!(first.complete("\"late\"".to_owned()).await, Err(OutcomeError::Expired)));
    second.abandon().await.unwrap();
    heir.complete(OUTCOME.to_owned()).await.unwrap();
    assert!(matches!(ask(&store, REQUEST, NOON).await, Claim::Replay(outcome) if outcome == OUTCOME));
}

pub async fn a_stored_outcome_is_forgotten_in_time(store: Store) {
    take(&store, REQUEST, NOON).await.complete(OUTCOME.to_owned()).await.unwrap();
    assert!(matches!(ask(&store, REQUEST, NOON + LIFETIMES.pending).await, Claim::Replay(_)));
    take(&store, REQUEST, NOON + LIFETIMES.stored).await.abandon().await.unwrap();
}

pub async fn an_outcome_too_large_to_keep_is_not_made_again(store: Store) {
    let largest = "1".repeat(LARGEST_OUTCOME);
    take(&store, REQUEST, NOON).await.complete(largest.clone()).await.unwrap();
    assert!(matches!(ask(&store, REQUEST, NOON).await, Claim::Replay(outcome) if outcome == largest));
    let other = ClaimRequest { key: "key-2", ..REQUEST };
    take(&store, other, NOON).await.complete(largest + "1").await.unwrap();
    assert!(matches!(ask(&store, other, NOON).await, Claim::Unkept));
    let mismatch = ClaimRequest { fingerprint: "body-2", ..other };
    assert!(matches!(ask(&store, mismatch, NOON).await, Claim::Mismatch));
}
