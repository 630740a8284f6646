use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::sqlx::any::{AnyArguments, AnyRow};
use store::sqlx::query::Query;
use store::sqlx::{self, Any, AnyConnection, Row as _};
use store::{Migration, Store};
use uuid::Uuid;

use super::{Bucket, Charge, Hold, MeteredStore, QuotaError, Reservation, Settlement, Usage};
use crate::key::{Tickets, deadline};
use crate::{BoxFuture, Window};

pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_122_000_100,
    name: "quota buckets and reservations",
    sql: "
        CREATE TABLE quota_bucket (
            scope TEXT NOT NULL,
            tenant TEXT NOT NULL,
            quota TEXT NOT NULL,
            window_start BIGINT NOT NULL,
            used BIGINT NOT NULL,
            PRIMARY KEY (scope, tenant, quota, window_start)
        );
        CREATE TABLE quota_reservation (
            id TEXT NOT NULL,
            part BIGINT NOT NULL,
            scope TEXT NOT NULL,
            tenant TEXT NOT NULL,
            quota TEXT NOT NULL,
            window_start BIGINT NOT NULL,
            units BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (id, part)
        );
        CREATE INDEX quota_reservation_bucket
            ON quota_reservation (scope, tenant, quota, window_start, expires_at);
    ",
};

/// Metered quotas in the database, shared by all processes that use it.
///
/// INVARIANT: a reservation exists exactly as long as its rows do, and rows of a bucket are judged and removed only
/// under the lock of its `quota_bucket` row. So expired rows count until somebody who needs the room deletes them, a late
/// commit either finds all its rows or charges nothing, and no clock but the caller's is compared.
#[derive(Debug, Clone)]
pub struct SqlQuota {
    store: Store,
    tickets: Arc<Tickets>,
}

impl SqlQuota {
    /// Uses the tables of [`MIGRATIONS`](crate::MIGRATIONS). No two running processes may have the same `node`; make it
    /// at start-up.
    pub fn new(store: Store, node: Uuid) -> Self {
        Self { store, tickets: Arc::new(Tickets::new(node)) }
    }
}

impl MeteredStore for SqlQuota {
    fn reserve<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        ttl: Duration,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Reservation, QuotaError>> {
        Box::pin(async move {
            let holds = Hold::all(charges);
            let id = self.tickets.next();
            let expires_at = deadline(now, ttl);
            let mut work = self.store.begin().await?;
            for (part, hold) in (0..).zip(&holds) {
                hold.admit(lock(&mut work, &hold.bucket, now).await?)?;
                insert(&mut work, &id, part, hold, expires_at).await?;
            }
            work.commit().await?;
            let store = self.store.clone();
            Ok(Reservation::new(move |settlement| settle(store, id, holds, settlement)))
        })
    }

    fn usage<'a>(
        &'a self,
        tenant: Option<&'a str>,
        quota: &'a str,
        window: Window,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Usage, QuotaError>> {
        Box::pin(async move {
            let bucket = Bucket::new(tenant, quota, window);
            let row = of_bucket(
                "SELECT CAST(COALESCE((SELECT used FROM quota_bucket
                        WHERE scope = $1 AND tenant = $2 AND quota = $3 AND window_start = $4), 0) AS BIGINT),
                    CAST(COALESCE((SELECT SUM(units) FROM quota_reservation
                        WHERE scope = $1 AND tenant = $2 AND quota = $3 AND window_start = $4
                        AND expires_at > $5), 0) AS BIGINT)",
                &bucket,
            )
            .bind(now.as_microsecond())
            .fetch_one(self.store.reader())
            .await?;
            Ok(Usage { used: units(&row, 0)?, reserved: units(&row, 1)? })
        })
    }
}

/// Locks a bucket until the work ends and tells how many of its units are used or reserved.
async fn lock(connection: &mut AnyConnection, bucket: &Bucket, now: Timestamp) -> Result<u64, QuotaError> {
    let row = of_bucket(
        "INSERT INTO quota_bucket (scope, tenant, quota, window_start, used) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (scope, tenant, quota, window_start) DO UPDATE SET used = quota_bucket.used
         RETURNING used",
        bucket,
    )
    .fetch_one(&mut *connection)
    .await?;
    let used = units(&row, 0)?;
    of_bucket(
        "DELETE FROM quota_reservation
         WHERE scope = $1 AND tenant = $2 AND quota = $3 AND window_start = $4 AND expires_at <= $5",
        bucket,
    )
    .bind(now.as_microsecond())
    .execute(&mut *connection)
    .await?;
    let row = of_bucket(
        "SELECT CAST(COALESCE(SUM(units), 0) AS BIGINT) FROM quota_reservation
         WHERE scope = $1 AND tenant = $2 AND quota = $3 AND window_start = $4",
        bucket,
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(used + units(&row, 0)?)
}

async fn insert(
    connection: &mut AnyConnection,
    id: &str,
    part: i64,
    hold: &Hold,
    expires_at: i64,
) -> Result<(), QuotaError> {
    of_bucket(
        "INSERT INTO quota_reservation (scope, tenant, quota, window_start, id, part, units, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &hold.bucket,
    )
    .bind(id)
    .bind(part)
    .bind(hold.stored_units())
    .bind(expires_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn settle(
    store: Store,
    id: String,
    holds: Vec<Hold>,
    settlement: Settlement,
) -> Result<(), QuotaError> {
    let mut work = store.begin().await?;
    for hold in &holds {
        let charged = match settlement {
            Settlement::Commit => hold.stored_units(),
            Settlement::Release => 0,
        };
        // A release locks the buckets too, in the common order: that keeps it from deadlocking with who expires it.
        of_bucket(
            "UPDATE quota_bucket SET used = used + $5
             WHERE scope = $1 AND tenant = $2 AND quota = $3 AND window_start = $4",
            &hold.bucket,
        )
        .bind(charged)
        .execute(&mut *work)
        .await?;
    }
    let deleted =
        sqlx::query("DELETE FROM quota_reservation WHERE id = $1").bind(id).execute(&mut *work).await?;
    if settlement == Settlement::Commit && deleted.rows_affected() < holds.len() as u64 {
        return Err(QuotaError::Expired);
    }
    work.commit().await?;
    Ok(())
}

impl Hold {
    /// An admitted hold is within its limit, and a limit within `BIGINT`.
    fn stored_units(&self) -> i64 {
        i64::try_from(self.units).unwrap_or(i64::MAX)
    }
}

/// A statement whose `$1` to `$4` are the bucket's key.
fn of_bucket<'q>(sql: &'static str, bucket: &Bucket) -> Query<'q, Any, AnyArguments> {
    sqlx::query(sql)
        .bind(bucket.scope.to_string())
        .bind(bucket.tenant.clone())
        .bind(bucket.quota.clone())
        .bind(bucket.window_start)
}

fn units(row: &AnyRow, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}
