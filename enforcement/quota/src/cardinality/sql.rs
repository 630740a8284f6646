use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::sqlx::{self, AnyConnection};
use store::{Cause, Migration, Store};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{CardinalityStore, Counted, Live, Place, Providers, Subject};
use crate::key::{Tickets, deadline, digest};
use crate::{Answer, Full, Projection, QuotaError, Reservation, Scope, Settle, Settlement, Uncounted, Usage};

pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_122_000_120,
    name: "gates and places of cardinality quotas",
    sql: "
        CREATE TABLE quota_gate (gate TEXT PRIMARY KEY);
        CREATE TABLE quota_place (
            gate TEXT NOT NULL,
            ticket TEXT NOT NULL,
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (gate, ticket)
        );
        CREATE INDEX quota_place_ticket ON quota_place (ticket);
    ",
};

/// Quotas over live things in the database, shared by all processes that use it.
///
/// INVARIANT: places are given only under the lock of their `quota_gate` row, and the live things are counted after the
/// places. A thing is committed before its place is given up, so whoever no longer sees the place does see the thing.
#[derive(Debug, Clone)]
pub struct SqlCardinality {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    tickets: Tickets,
    providers: Providers,
}

/// The places of one reservation.
struct Places {
    shared: Arc<Shared>,
    ticket: String,
    gates: u64,
}

/// What one key asks of one scope.
struct Ask<'a> {
    gate: String,
    quota: &'a str,
    scope: Scope,
    tenant: Option<&'a str>,
    limit: u64,
}

impl SqlCardinality {
    /// Uses the tables of [`MIGRATIONS`](crate::MIGRATIONS), and those that the providers count in. No two running
    /// processes may have the same `node`; make it at start-up.
    pub fn new(store: Store, node: Uuid, providers: Providers) -> Self {
        Self { shared: Arc::new(Shared { store, tickets: Tickets::new(node), providers }) }
    }
}

impl CardinalityStore for SqlCardinality {
    fn reserve<'a>(
        &'a self,
        places: &'a [Place<'a>],
        subject: Subject<'a>,
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Reservation, QuotaError>> {
        Answer::later(async move {
            let asks = Ask::all(places);
            for ask in &asks {
                self.shared.providers.find(ask.quota)?;
            }
            let ticket = self.shared.tickets.next();
            let expires_at = deadline(now, ttl);
            let mut work = self.shared.store.begin().await?;
            // In the order in which every caller locks them; so no two callers wait for each other.
            for gate in asks.iter().map(|ask| &ask.gate).collect::<BTreeSet<_>>() {
                lock(&mut work, gate, now).await?;
            }
            let mut gates = 0;
            for ask in &asks {
                let counted = Counted { tenant: ask.tenant, subject: Some(subject) };
                let (used, adds_up) = match self.shared.live(&mut work, ask, counted, now).await? {
                    Some((Live::Things(things), taken)) => (things.saturating_add(taken), true),
                    Some((Live::Level(level), _)) => (level, false),
                    None => return Err(Uncounted { quota: ask.quota.to_owned() }.into()),
                };
                if used >= ask.limit {
                    let (quota, scope, limit) = (ask.quota.to_owned(), ask.scope, ask.limit);
                    return Err(Full { quota, scope, limit, used }.into());
                }
                if adds_up {
                    take(&mut work, &ask.gate, &ticket, expires_at).await?;
                    gates += 1;
                }
            }
            // Durable: a place that could be forgotten would let two make the last thing.
            work.commit(Cause::Upkeep).await?;
            let places = Places { shared: Arc::clone(&self.shared), ticket, gates };
            Ok(Reservation::new(Arc::new(places), 0))
        })
    }

    fn projection<'a>(
        &'a self,
        tenant: Option<&'a str>,
        limits: &'a [(&'a str, u64)],
        now: Timestamp,
    ) -> Answer<'a, Result<Vec<Projection>, QuotaError>> {
        Answer::later(async move {
            let mut connection =
                self.shared.store.reader().acquire().await.map_err(store::StoreError::from)?;
            let mut projections = Vec::with_capacity(limits.len());
            for &(quota, limit) in limits {
                let ask = Ask::new(quota, tenant, limit);
                let counted = Counted { tenant, subject: None };
                if let Some((Live::Things(used), reserved)) =
                    self.shared.live(&mut connection, &ask, counted, now).await?
                {
                    projections.push(Projection::cardinality(quota, limit, Usage { used, reserved }));
                }
            }
            Ok(projections)
        })
    }
}

impl Shared {
    /// What lives, and how many places are taken besides. The places are read first: see the invariant.
    async fn live(
        &self,
        connection: &mut AnyConnection,
        ask: &Ask<'_>,
        of: Counted<'_>,
        now: Timestamp,
    ) -> Result<Option<(Live, u64)>, QuotaError> {
        let taken: i64 = sqlx::query_scalar(
            "SELECT CAST(count(*) AS BIGINT) FROM quota_place WHERE gate = $1 AND expires_at > $2",
        )
        .bind(&ask.gate)
        .bind(now.as_microsecond())
        .fetch_one(&mut *connection)
        .await?;
        let live = self.providers.find(ask.quota)?.count(connection, of).await?;
        Ok(live.map(|live| (live, taken.unsigned_abs())))
    }
}

/// Locks a gate until the work ends, and removes the places there whose time is over: who comes back to settle one of
/// them will not find it.
async fn lock(connection: &mut AnyConnection, gate: &str, now: Timestamp) -> Result<(), QuotaError> {
    sqlx::query(
        "INSERT INTO quota_gate (gate) VALUES ($1) ON CONFLICT (gate) DO UPDATE SET gate = excluded.gate",
    )
    .bind(gate)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM quota_place WHERE gate = $1 AND expires_at <= $2")
        .bind(gate)
        .bind(now.as_microsecond())
        .execute(connection)
        .await?;
    Ok(())
}

async fn take(
    connection: &mut AnyConnection,
    gate: &str,
    ticket: &str,
    expires_at: i64,
) -> Result<(), QuotaError> {
    sqlx::query("INSERT INTO quota_place (gate, ticket, expires_at) VALUES ($1, $2, $3)")
        .bind(gate)
        .bind(ticket)
        .bind(expires_at)
        .execute(connection)
        .await?;
    Ok(())
}

impl Settle for Places {
    fn settle(self: Arc<Self>, _: u64, settlement: Settlement) -> Answer<'static, Result<(), QuotaError>> {
        let (answer, answered) = oneshot::channel();
        // Without a runtime the places are left to expire.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(answer.send(self.give_up(settlement).await)) });
        }
        Answer::later(async move { answered.await.unwrap_or(Err(QuotaError::Silent)) })
    }
}

impl Places {
    /// A thing that was made counts by itself from now on; one that was not frees its place. Either way the place goes.
    async fn give_up(&self, settlement: Settlement) -> Result<(), QuotaError> {
        let mut work = self.shared.store.begin_relaxed().await?;
        let given_up = sqlx::query("DELETE FROM quota_place WHERE ticket = $1")
            .bind(&self.ticket)
            .execute(&mut *work)
            .await?
            .rows_affected();
        work.commit(Cause::Upkeep).await?;
        if settlement == Settlement::Commit && given_up < self.gates {
            return Err(QuotaError::Expired);
        }
        Ok(())
    }
}

impl<'a> Ask<'a> {
    fn new(quota: &'a str, tenant: Option<&'a str>, limit: u64) -> Self {
        let scope = if tenant.is_some() { Scope::Tenant } else { Scope::Platform };
        let gate = digest(&[&scope.to_string(), tenant.unwrap_or_default(), quota]);
        Self { gate, quota, scope, tenant, limit }
    }

    /// The platform's first.
    fn all(places: &[Place<'a>]) -> Vec<Self> {
        let platform = places.iter().map(|place| Self::new(place.quota, None, place.platform_limit));
        let tenants = places.iter().filter_map(|place| {
            place.tenant.map(|share| Self::new(place.quota, Some(share.id), share.limit))
        });
        platform.chain(tenants).collect()
    }
}
