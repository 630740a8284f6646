//! What only a shared database can show: several processes, restarts, failures.

use std::num::NonZeroU64;
use std::time::Duration;

use chancery_quota::{
    Charge, Claim, ClaimRequest, Lifetimes, Limit, MIGRATIONS, MeteredStore as _, OutcomeStore as _,
    QuotaError, SqlOutcomes, SqlQuota, TenantShare, Usage, Window,
};
use jiff::{SignedDuration, Timestamp};
use store::sqlx::{self, AssertSqlSafe};
use store::{Cause, Engine, Options, Store};
use uuid::Uuid;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_secs(30);

fn charge(limit: u64) -> Charge<'static> {
    Charge {
        quota: "messages.sent",
        units: NonZeroU64::MIN,
        window: Window { start: NOON, end: NOON + SignedDuration::from_hours(1) },
        platform_limit: limit,
        tenant: Some(TenantShare { id: "acme", limit }),
    }
}

/// What one more process would open.
async fn process(url: &str, node: u128) -> (Store, SqlQuota) {
    let store = Store::open(url, Options::default()).await.unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    (store.clone(), SqlQuota::new(store, Uuid::from_u128(node)))
}

async fn spend(quota: &SqlQuota, limit: u64) -> Result<(), QuotaError> {
    quota.reserve(&[charge(limit)], TTL, NOON).await?.commit().await
}

fn is_exhausted<T>(outcome: &Result<T, QuotaError>, at: u64) -> bool {
    matches!(outcome, Err(QuotaError::Exhausted(exhausted)) if exhausted.used == at)
}

async fn used(quota: &SqlQuota) -> Usage {
    let limit = Limit { quota: "messages.sent", limit: 0, window: charge(0).window };
    let projections = quota.projection(Some("acme"), &[limit], NOON).await.unwrap();
    Usage { used: projections[0].used, reserved: projections[0].reserved }
}

/// What whoever owns the database does to it.
async fn change(store: &Store, statements: &str) {
    let mut work = store.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
}

/// From now on the database forgets buckets as soon as they are made, or does so no more.
async fn forget_new_buckets(store: &Store, forget: bool) {
    change(
        store,
        match (store.engine(), forget) {
            (Engine::Sqlite, true) => {
                "CREATE TRIGGER forget AFTER INSERT ON quota_bucket
             BEGIN DELETE FROM quota_bucket WHERE bucket = NEW.bucket; END"
            }
            (Engine::Postgres, true) => {
                "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN DELETE FROM quota_bucket WHERE bucket = NEW.bucket; RETURN NULL; END $$;
             CREATE TRIGGER forget AFTER INSERT ON quota_bucket FOR EACH ROW EXECUTE FUNCTION forget()"
            }
            (Engine::Sqlite, false) => "DROP TRIGGER forget",
            (Engine::Postgres, false) => "DROP TRIGGER forget ON quota_bucket",
        },
    )
    .await;
}

kit::on_both_engines! {
    async fn four_processes_together_never_exceed_the_limit_and_reach_it(url: &str) {
        let mut callers = Vec::new();
        for node in 0..4 {
            let (_, quota) = process(url, node).await;
            for _ in 0..8 {
                let quota = quota.clone();
                callers.push(tokio::spawn(async move { spend(&quota, 20).await.is_ok() }));
            }
        }
        let mut admitted = 0;
        for caller in callers {
            admitted += u64::from(caller.await.unwrap());
        }
        assert_eq!(admitted, 20);
        assert_eq!(used(&process(url, 9).await.1).await, Usage { used: 20, reserved: 0 });
    }

    async fn crowds_over_many_tenants_are_counted_exactly(url: &str) {
        let (_, quota) = process(url, 1).await;
        let tenants: Vec<_> = (0..60).map(|n| format!("tenant-{n}")).collect();
        // Each asks three times and may twice; in the second round every row is there already.
        for admitted in [60, 120, 120] {
            let asking = tenants.iter().map(|tenant| {
                let (quota, tenant) = (quota.clone(), tenant.clone());
                tokio::spawn(async move {
                    let share = TenantShare { id: &tenant, limit: 2 };
                    let charge = Charge { tenant: Some(share), ..charge(1_000) };
                    quota.reserve(&[charge], TTL, NOON).await?.commit().await
                })
            });
            for asked in asking.collect::<Vec<_>>() {
                let outcome = asked.await.unwrap();
                assert!(outcome.is_ok() || is_exhausted(&outcome, 2), "{outcome:?}");
            }
            let recorded = quota.usage(NOON).await.unwrap();
            let used = recorded.iter().filter(|bucket| bucket.tenant.is_some()).map(|bucket| bucket.usage.used);
            assert_eq!(used.sum::<u64>(), admitted);
            assert!(recorded.iter().all(|bucket| bucket.usage.reserved == 0));
        }
    }

    async fn processes_that_charge_for_many_tenants_at_once_wait_in_no_circle(url: &str) {
        let mut asking = Vec::new();
        for node in 0..3 {
            let (_, quota) = process(url, node).await;
            for tenant in (0..40).map(|n| format!("tenant-{n}")) {
                let quota = quota.clone();
                asking.push(tokio::spawn(async move {
                    for _ in 0..10 {
                        let share = TenantShare { id: &tenant, limit: 1_000 };
                        let charge = Charge { tenant: Some(share), ..charge(10_000) };
                        quota.reserve(&[charge], TTL, NOON).await?.commit().await?;
                    }
                    Ok::<_, QuotaError>(())
                }));
            }
        }
        for asked in asking {
            asked.await.unwrap().unwrap();
        }
    }

    async fn callers_of_one_process_and_then_of_another_are_admitted_up_to_exactly_the_limit(url: &str) {
        let (_, one) = process(url, 1).await;
        let (_, other) = process(url, 2).await;
        for _ in 0..5 {
            spend(&one, 10).await.unwrap();
        }
        for _ in 0..5 {
            spend(&other, 10).await.unwrap();
        }
        for process in [&one, &other] {
            assert!(is_exhausted(&spend(process, 10).await, 10));
        }
    }

    async fn what_is_held_for_a_next_call_that_does_not_come_is_given_back(url: &str) {
        let (_, calling) = process(url, 1).await;
        for _ in 0..5 {
            spend(&calling, 1_000).await.unwrap();
        }
        let (_, watching) = process(url, 2).await;
        let given_back = async {
            while used(&watching).await != (Usage { used: 5, reserved: 0 }) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), given_back).await.unwrap();
    }

    async fn a_process_that_ends_gives_back_what_it_holds_for_next_calls(url: &str) {
        let (store, ending) = process(url, 1).await;
        for _ in 0..5 {
            spend(&ending, 1_000).await.unwrap();
        }
        ending.give_back().await;
        store.close().await;
        let (_, watching) = process(url, 2).await;
        assert_eq!(used(&watching).await, Usage { used: 5, reserved: 0 });
    }

    async fn what_was_charged_survives_a_restart(url: &str) {
        let (store, quota) = process(url, 1).await;
        spend(&quota, 2).await.unwrap();
        store.close().await;
        let (_, quota) = process(url, 2).await;
        spend(&quota, 2).await.unwrap();
        assert!(is_exhausted(&spend(&quota, 2).await, 2));
    }

    async fn what_a_dead_process_held_expires(url: &str) {
        let (store, quota) = process(url, 1).await;
        std::mem::forget(quota.reserve(&[charge(1)], TTL, NOON).await.unwrap());
        store.close().await;
        let (_, quota) = process(url, 2).await;
        assert!(matches!(spend(&quota, 1).await, Err(QuotaError::Exhausted(_))));
        quota.reserve(&[charge(1)], TTL, NOON + TTL).await.unwrap().commit().await.unwrap();
    }

    async fn a_store_that_fails_denies(url: &str) {
        let (store, quota) = process(url, 1).await;
        let running = quota.reserve(&[charge(5)], TTL, NOON).await.unwrap();
        store.close().await;
        assert!(matches!(quota.reserve(&[charge(5)], TTL, NOON).await, Err(QuotaError::Store(_))));
        assert!(matches!(running.commit().await, Err(QuotaError::Store(_))));
    }

    async fn buckets_that_a_database_forgot_before_they_were_used_deny(url: &str) {
        let (store, quota) = process(url, 1).await;
        spend(&quota, 3).await.unwrap();
        let running = quota.reserve(&[charge(3)], TTL, NOON).await.unwrap();
        let share = TenantShare { id: "globex", limit: 1 };
        let new = Charge { tenant: Some(share), ..charge(3) };

        forget_new_buckets(&store, true).await;
        for _ in 0..3 {
            let denied = quota.reserve(&[new], TTL, NOON).await;
            assert!(matches!(denied, Err(QuotaError::Store(_))), "{denied:?}");
        }
        assert_eq!(used(&quota).await, Usage { used: 1, reserved: 1 }, "those that are there keep what they hold");
        running.commit().await.unwrap();

        forget_new_buckets(&store, false).await;
        quota.reserve(&[new], TTL, NOON).await.unwrap().commit().await.unwrap();
        let denied = quota.reserve(&[new], TTL, NOON).await;
        assert!(is_exhausted(&denied, 3), "{denied:?}");
        let recorded = quota.usage(NOON).await.unwrap();
        let of = |tenant: Option<&str>| {
            recorded.iter().find(|bucket| bucket.tenant.as_deref() == tenant).map(|bucket| bucket.usage)
        };
        let used = |used| Some(Usage { used, reserved: 0 });
        assert_eq!((of(None), of(Some("acme")), of(Some("globex"))), (used(3), used(2), used(1)));
    }

    async fn a_charge_whose_bucket_is_gone_is_not_taken_for_charged(url: &str) {
        let (store, quota) = process(url, 1).await;
        let running = quota.reserve(&[charge(2)], TTL, NOON).await.unwrap();
        change(&store, "DELETE FROM quota_hold; DELETE FROM quota_bucket").await;
        let lost = running.commit().await;
        assert!(matches!(lost, Err(QuotaError::Expired)), "{lost:?}");
        let running = quota.reserve(&[charge(2)], TTL, NOON).await.unwrap();
        change(&store, "DELETE FROM quota_hold; DELETE FROM quota_bucket").await;
        forget_new_buckets(&store, true).await;
        let lost = running.commit().await;
        assert!(matches!(lost, Err(QuotaError::Store(_))), "{lost:?}");
        forget_new_buckets(&store, false).await;
        spend(&quota, 1).await.unwrap();
        assert_eq!(used(&quota).await, Usage { used: 1, reserved: 0 });
    }

    async fn only_expired_outcomes_are_swept_away(url: &str) {
        let (store, _) = process(url, 1).await;
        let outcomes = SqlOutcomes::new(store, Uuid::from_u128(1));
        let request = |key| ClaimRequest { tenant: None, command: "c", caller: "ada", key, fingerprint: "f" };
        let hours = |n| Lifetimes { pending: TTL, stored: Duration::from_hours(n) };
        for (key, kept) in [("brief", 1), ("long", 3)] {
            let claim = outcomes.claim(request(key), hours(kept), NOON).await.unwrap();
            let Claim::New(guard) = claim else { panic!("{claim:?}") };
            guard.complete("{}".to_owned()).await.unwrap();
        }
        let later = NOON + SignedDuration::from_hours(2);
        assert_eq!(outcomes.forget_expired(later).await.unwrap(), 1);
        let claim = outcomes.claim(request("long"), hours(3), later).await.unwrap();
        assert!(matches!(claim, Claim::Replay(_)), "{claim:?}");
    }
}

/// What the statistics say, once the sessions before this one have ended.
async fn statistic(url: &str, query: &'static str) -> i64 {
    let store = Store::open(url, Options::default()).await.unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(store.reader()).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let statistic = sqlx::query_scalar(query).fetch_one(store.reader()).await.unwrap();
    store.close().await;
    statistic
}

/// Plans are made from statistics, and these were made when nothing was held: a plan that then reads all holds is a hundred
/// times slower, for as long as it is kept.
#[test]
fn holds_are_found_by_their_keys_whatever_the_statistics_say() {
    const CALLS: u64 = 50;
    const BLOCKS: &str =
        "SELECT CAST(sum(idx_blks_hit + idx_blks_read) AS BIGINT) FROM pg_statio_user_indexes
                          WHERE relname = 'quota_hold'";
    kit::run(async {
        let database = kit::Database::postgres().await;
        let (store, _) = process(database.url(), 1).await;
        change(
            &store,
            "INSERT INTO quota_hold (bucket, grp, units, expires_at)
             SELECT repeat('x', 64), lpad(n::text, 64, '0'), 1, 0 FROM generate_series(1, 20000) n;
             DELETE FROM quota_hold;
             ANALYZE",
        )
        .await;
        store.close().await;
        let before = statistic(database.url(), BLOCKS).await;
        let (store, quota) = process(database.url(), 2).await;
        for n in 0..CALLS {
            // Each under another limit, so that none can use the hold of the one before.
            spend(&quota, 1_000 + n).await.unwrap();
        }
        drop(quota);
        store.close().await;
        let blocks = (statistic(database.url(), BLOCKS).await - before) / CALLS.cast_signed();
        assert!((1..60).contains(&blocks), "a call reads {blocks} blocks of the indexes of holds");
    });
}

#[test]
fn calls_in_a_row_write_a_hold_for_many_of_them() {
    const CALLS: i64 = 200;
    const HOLDS: &str =
        "SELECT CAST(n_tup_ins AS BIGINT) FROM pg_stat_user_tables WHERE relname = 'quota_hold'";
    kit::run(async {
        let database = kit::Database::postgres().await;
        let (store, quota) = process(database.url(), 1).await;
        for _ in 0..CALLS {
            spend(&quota, 1_000).await.unwrap();
        }
        assert_eq!(used(&quota).await, Usage { used: CALLS.unsigned_abs(), reserved: 0 });
        drop(quota);
        store.close().await;
        let holds = statistic(database.url(), HOLDS).await;
        assert!(holds < CALLS, "{holds} for {CALLS} calls in two buckets each");
    });
}
