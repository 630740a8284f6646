//! What the ports mean, as laws that every implementation is tested against.
//!
//! An implementation gives an async function that opens an empty store, with whatever must live as long as it:
//!
//! ```
//! # use chancery_quota as quota;
//! async fn open_memory() -> (quota::MemoryQuota, ()) {
//!     (quota::MemoryQuota::new(), ())
//! }
//!
//! quota::metered_store_suite!(memory, open_memory);
//! ```

#![expect(missing_docs, reason = "the name of a law says it all")]

pub mod metered;
pub mod outcome;

/// Runs a law on a multi-threaded runtime.
pub fn run<T>(law: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(law)
}

/// Waits until something done in the background shows.
async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(seen) = attempt().await {
            return seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not happen within five seconds");
}

/// Stamps the laws of [`MeteredStore`](crate::MeteredStore) out as tests in a module `$name`.
///
/// `$open` is an `async fn() -> (impl MeteredStore + 'static, impl Any)`.
#[macro_export]
macro_rules! metered_store_suite {
    ($name:ident, $open:ident) => {
        $crate::laws! { metered, $name, $open,
            sequential_callers_are_admitted_up_to_exactly_the_limit
            concurrent_callers_never_exceed_the_limit_and_reach_it
            concurrent_callers_over_several_quotas_do_not_block_each_other
            calls_in_a_row_leave_all_other_room_to_whoever_comes_next
            the_last_of_a_row_of_calls_expires_in_its_own_time
            a_weight_counts_as_that_many_units
            released_units_can_be_spent_again
            a_dropped_reservation_is_given_back
            a_reservation_that_nobody_waited_for_is_given_back
            a_commit_that_nobody_waited_for_is_made
            a_panicking_call_gives_its_units_back
            a_denied_call_consumes_nothing
            a_denial_names_the_bucket_and_when_it_resets
            several_charges_are_reserved_all_or_none
            charges_of_one_quota_add_up
            tenants_do_not_share_a_bucket
            hostile_tenant_ids_do_not_share_a_bucket
            the_platform_limit_stops_a_tenant_that_has_room
            a_call_in_platform_scope_counts_against_the_platform_only
            an_expired_reservation_frees_its_units
            an_expired_reservation_of_the_platform_frees_its_units
            an_expired_reservation_whose_units_are_gone_cannot_be_committed
            an_expired_reservation_is_never_charged_in_part
            a_clock_that_steps_back_frees_nothing_and_charges_what_was_held
            a_raised_limit_applies_at_once
            a_lowered_limit_applies_at_once
            a_new_window_starts_at_zero
            usage_tells_used_from_reserved
            a_projection_tells_limit_use_window_and_cap
            a_projection_forecasts_when_the_limit_is_reached
            a_projection_charges_nothing
            everything_that_was_counted_is_told
            no_limit_is_too_large_and_no_charge_overflows
        }
    };
}

/// Stamps the laws of [`OutcomeStore`](crate::OutcomeStore) out as tests in a module `$name`.
///
/// `$open` is an `async fn() -> (impl OutcomeStore + 'static, impl Any)`.
#[macro_export]
macro_rules! outcome_store_suite {
    ($name:ident, $open:ident) => {
        $crate::laws! { outcome, $name, $open,
            a_completed_call_is_replayed
            a_running_call_is_in_flight
            another_body_under_the_same_key_is_refused
            an_abandoned_call_can_be_made_again
            a_dropped_claim_is_abandoned
            of_concurrent_claims_exactly_one_is_new
            different_calls_do_not_share_a_key
            a_claim_whose_caller_died_expires
            an_expired_claim_that_was_taken_over_cannot_be_settled
            a_stored_outcome_is_forgotten_in_time
            an_outcome_too_large_to_keep_is_not_made_again
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! laws {
    ($port:ident, $name:ident, $open:ident, $($law:ident)+) => {
        mod $name {$(
            #[test]
            fn $law() {
                $crate::suite::run(async {
                    let (store, _alive) = super::$open().await;
                    $crate::suite::$port::$law(std::sync::Arc::new(store)).await;
                });
            }
        )+}
    };
}
