//! Quotas over live things, counted in a real table by several processes.

use std::time::Duration;

use chancery_quota::{
    BoxFuture, CardinalityProvider, CardinalityStore as _, Counted, Full, Live, MIGRATIONS, Place, Providers,
    QuotaError, Reservation, Scope, SqlCardinality, TenantShare,
};
use jiff::{SignedDuration, Timestamp};
use store::sqlx::{self, AnyConnection};
use store::{Cause, Migration, Options, Store, StoreError};
use uuid::Uuid;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_secs(30);
const CHAIRS: &str = "chairs.max";
const TABLE: &[Migration] = &[Migration {
    version: 20_261_122_009_000,
    name: "chairs",
    sql: "CREATE TABLE chair (name TEXT PRIMARY KEY, tenant TEXT NOT NULL)",
}];

fn is(full: &Full, scope: Scope, at: u64) -> bool {
    (full.scope, full.limit, full.used) == (scope, at, at)
}

struct CountChairs;

impl CardinalityProvider for CountChairs {
    fn count<'a>(
        &'a self,
        work: &'a mut AnyConnection,
        of: Counted<'a>,
    ) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
        Box::pin(async move {
            let chairs: i64 =
                sqlx::query_scalar("SELECT CAST(count(*) AS BIGINT) FROM chair WHERE $1 = '' OR tenant = $1")
                    .bind(of.tenant.unwrap_or_default())
                    .fetch_one(work)
                    .await?;
            Ok(Some(Live::Things(chairs.unsigned_abs())))
        })
    }
}

/// Fails like a module whose table is not there.
fn broken<'a>(
    work: &'a mut AnyConnection,
    _of: Counted<'a>,
) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
    Box::pin(async move {
        sqlx::query("SELECT * FROM no_such_table").execute(work).await?;
        Ok(Some(Live::Things(0)))
    })
}

/// The depth of a thing is what its command says.
fn depth<'a>(
    _work: &'a mut AnyConnection,
    of: Counted<'a>,
) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
    let depth = of.subject.and_then(|subject| subject.downcast_ref::<u64>()).copied();
    Box::pin(async move { Ok(depth.map(Live::Level)) })
}

/// What one more process would open.
struct Process {
    store: Store,
    quota: SqlCardinality,
}

impl Process {
    async fn start(url: &str, node: u128) -> Self {
        let store = Store::open(url, Options::default()).await.unwrap();
        store.migrate(&[MIGRATIONS, TABLE].concat()).await.unwrap();
        let providers =
            Providers::none().with(CHAIRS, CountChairs).with("broken.max", broken).with("depth.max", depth);
        let quota = SqlCardinality::new(store.clone(), Uuid::from_u128(node), providers);
        Self { store, quota }
    }

    async fn reserve(&self, place: Place<'_>) -> Result<Reservation, QuotaError> {
        self.reserve_at(NOON, place).await
    }

    async fn reserve_at(&self, now: Timestamp, place: Place<'_>) -> Result<Reservation, QuotaError> {
        self.quota.reserve(&[place], &(), TTL, now).await
    }

    /// What a handler does: it has no part in the gate's unit of work.
    async fn make(&self, tenant: &str, name: &str) {
        let mut work = self.store.begin().await.unwrap();
        sqlx::query("INSERT INTO chair (name, tenant) VALUES ($1, $2)")
            .bind(name)
            .bind(tenant)
            .execute(&mut *work)
            .await
            .unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let mut work = self.store.begin().await.unwrap();
        sqlx::query("DELETE FROM chair WHERE name = $1").bind(name).execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
    }

    async fn create(&self, place: Place<'_>, name: &str) -> Result<(), QuotaError> {
        let reserved = self.reserve(place).await?;
        self.make(place.tenant.map_or("", |share| share.id), name).await;
        reserved.commit().await
    }

    async fn chairs(&self) -> i64 {
        sqlx::query_scalar("SELECT CAST(count(*) AS BIGINT) FROM chair")
            .fetch_one(self.store.reader())
            .await
            .unwrap()
    }
}

fn chair(limit: u64) -> Place<'static> {
    of("acme", limit)
}

fn of(tenant: &str, limit: u64) -> Place<'_> {
    Place { quota: CHAIRS, platform_limit: 100, tenant: Some(TenantShare { id: tenant, limit }) }
}

fn assert_full<T>(outcome: Result<T, QuotaError>) {
    assert!(matches!(outcome, Err(QuotaError::Full(_))), "{:?}", outcome.err());
}

kit::on_both_engines! {
    async fn things_are_made_up_to_exactly_the_limit(url: &str) {
        let process = Process::start(url, 1).await;
        for name in ["a", "b", "c"] {
            process.create(chair(3), name).await.unwrap();
        }
        assert_full(process.create(chair(3), "d").await);
        process.delete("b").await;
        process.create(chair(3), "d").await.unwrap();
        assert_full(process.create(chair(3), "e").await);
    }

    async fn racing_processes_never_make_more_than_the_limit_and_reach_it(url: &str) {
        let mut callers = Vec::new();
        for node in 0..3 {
            let process = std::sync::Arc::new(Process::start(url, node).await);
            for caller in 0..8 {
                let process = process.clone();
                callers.push(tokio::spawn(async move {
                    let name = format!("{node}-{caller}");
                    // Who finds all places taken asks again while some may still come free.
                    for _ in 0..200 {
                        match process.create(chair(10), &name).await {
                            Ok(()) => return true,
                            Err(QuotaError::Full(full)) => assert!(full.used >= 10),
                            Err(error) => panic!("{error}"),
                        }
                        if process.chairs().await >= 10 {
                            return false;
                        }
                    }
                    false
                }));
            }
        }
        let mut made = 0;
        for caller in callers {
            made += i64::from(caller.await.unwrap());
        }
        assert_eq!(made, 10);
        assert_eq!(Process::start(url, 9).await.chairs().await, 10);
    }

    async fn a_place_counts_until_it_is_settled(url: &str) {
        let process = Process::start(url, 1).await;
        let first = process.reserve(chair(1)).await.unwrap();
        assert_full(process.reserve(chair(1)).await);
        first.release().await.unwrap();
        let second = process.reserve(chair(1)).await.unwrap();
        drop(second);
        let mut third = process.reserve(chair(1)).await;
        while third.is_err() {
            third = process.reserve(chair(1)).await;
        }
        process.make("acme", "a").await;
        third.unwrap().commit().await.unwrap();
        assert_full(process.reserve(chair(1)).await);
    }

    async fn a_thing_and_its_place_may_both_count_but_never_neither(url: &str) {
        let process = Process::start(url, 1).await;
        let reserved = process.reserve(chair(2)).await.unwrap();
        process.make("acme", "a").await;
        assert_full(process.reserve(chair(2)).await);
        reserved.commit().await.unwrap();
        let _second = process.reserve(chair(2)).await.unwrap();
        assert_full(process.reserve(chair(2)).await);
    }

    async fn the_place_of_a_dead_process_expires(url: &str) {
        let dying = Process::start(url, 1).await;
        std::mem::forget(dying.reserve(chair(1)).await.unwrap());
        dying.store.close().await;
        let process = Process::start(url, 2).await;
        let just_before = NOON + TTL - SignedDuration::from_micros(1);
        assert_full(process.reserve_at(just_before, chair(1)).await);
        process.reserve_at(NOON + TTL, chair(1)).await.unwrap().release().await.unwrap();
    }

    async fn a_thing_of_a_dead_process_counts_although_nobody_settled_it(url: &str) {
        let dying = Process::start(url, 1).await;
        std::mem::forget(dying.reserve(chair(2)).await.unwrap());
        dying.make("acme", "a").await;
        dying.store.close().await;
        let process = Process::start(url, 2).await;
        process.reserve_at(NOON + TTL, chair(2)).await.unwrap().release().await.unwrap();
        assert_full(process.reserve_at(NOON + TTL, chair(1)).await);
    }

    async fn a_place_that_went_to_somebody_else_cannot_be_settled(url: &str) {
        let process = Process::start(url, 1).await;
        let late = process.reserve(chair(1)).await.unwrap();
        let heir = process.reserve_at(NOON + TTL, chair(1)).await.unwrap();
        assert!(matches!(late.commit().await, Err(QuotaError::Expired)));
        assert_full(process.reserve_at(NOON + TTL, chair(1)).await);
        heir.commit().await.unwrap();
    }

    async fn tenant_and_platform_are_both_counted_or_neither(url: &str) {
        let process = Process::start(url, 1).await;
        let capped = |tenant| Place { platform_limit: 2, ..of(tenant, 1) };
        process.create(capped("acme"), "a").await.unwrap();
        let denied = process.reserve(capped("acme")).await.unwrap_err();
        assert!(matches!(&denied, QuotaError::Full(full) if is(full, Scope::Tenant, 1)), "{denied}");
        process.create(capped("ACME"), "b").await.unwrap();
        let denied = process.reserve(capped("globex")).await.unwrap_err();
        assert!(matches!(&denied, QuotaError::Full(full) if is(full, Scope::Platform, 2)), "{denied}");
        process.delete("a").await;
        process.create(capped("globex"), "c").await.unwrap();
    }

    async fn hostile_tenant_ids_do_not_share_a_place(url: &str) {
        let process = Process::start(url, 1).await;
        let long = "x".repeat(10_000);
        let longer = format!("{long}y");
        let ids = [" ", "platform", "tenant", "%", "'; DROP TABLE quota_place; --", "a", "A", "a\u{308}", "ä", &long, &longer];
        let mut taken = Vec::new();
        for id in ids {
            taken.push(process.reserve(of(id, 1)).await.unwrap());
            assert_full(process.reserve(of(id, 1)).await);
        }
        let capped = Place { platform_limit: taken.len() as u64, ..of("globex", 1) };
        let denied = process.reserve(capped).await.unwrap_err();
        assert!(matches!(&denied, QuotaError::Full(full) if full.scope == Scope::Platform), "{denied}");
    }

    async fn who_counts_nothing_or_fails_denies(url: &str) {
        let process = Process::start(url, 1).await;
        let missing = process.reserve(Place { quota: "nobody.max", ..chair(9) }).await.unwrap_err();
        assert!(matches!(missing, QuotaError::Uncounted(of) if of.quota == "nobody.max"));
        let failing = process.reserve(Place { quota: "broken.max", ..chair(9) }).await.unwrap_err();
        assert!(matches!(failing, QuotaError::Store(_)), "{failing}");
        let both = [chair(1), Place { quota: "nobody.max", ..chair(9) }];
        assert!(process.quota.reserve(&both, &(), TTL, NOON).await.is_err());
        process.create(chair(1), "a").await.unwrap();
        process.store.close().await;
        assert!(matches!(process.reserve(chair(9)).await, Err(QuotaError::Store(_))));
    }

    async fn levels_do_not_add_up(url: &str) {
        let process = Process::start(url, 1).await;
        let place = Place { quota: "depth.max", platform_limit: 3, tenant: None };
        let _first = process.quota.reserve(&[place], &2_u64, TTL, NOON).await.unwrap();
        let _second = process.quota.reserve(&[place], &2_u64, TTL, NOON).await.unwrap();
        assert_full(process.quota.reserve(&[place], &3_u64, TTL, NOON).await);
        assert!(matches!(process.reserve(place).await, Err(QuotaError::Uncounted { .. })));
    }

    async fn a_projection_tells_things_and_places(url: &str) {
        let process = Process::start(url, 1).await;
        process.create(chair(9), "a").await.unwrap();
        process.create(of("globex", 9), "b").await.unwrap();
        let _making = process.reserve(chair(9)).await.unwrap();
        let told = async |tenant, limit, now| {
            let limits = [("depth.max", 5), (CHAIRS, limit)];
            let told = process.quota.projection(tenant, &limits, now).await.unwrap();
            let [ref chairs] = told[..] else { panic!("{told:?}") };
            (chairs.used, chairs.reserved, chairs.at_cap)
        };
        assert_eq!(told(Some("acme"), 2, NOON).await, (1, 1, true));
        assert_eq!(told(None, 4, NOON).await, (2, 1, false));
        assert_eq!(told(None, 3, NOON).await, (2, 1, true));
        assert_eq!(told(None, 3, NOON + TTL).await, (2, 0, false));
    }
}
