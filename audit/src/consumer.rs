use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::sqlx::{self, Row as _};
use store::{Cause, StoreError};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::chain::{decode, stored};
use crate::recorder::story;
use crate::{AuditLog, Entry, Position, SinkError};

/// Events delivered at once, all of one chain.
const BATCH: usize = 100;
/// How long a process that says nothing keeps others from delivering in its place.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How long the last round may take when a consumer is stopped.
const LAST_ROUND: Duration = Duration::from_secs(3);

/// Where stored events are delivered to.
pub trait Consume: Send + Sync + 'static {
    /// Delivers events, those of one chain in their order. What failed is delivered again, from the first on.
    fn deliver(
        &mut self,
        events: &[Delivery],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// What is delivered.
    #[serde(flatten)]
    pub entry: Entry,
    /// Whether it may have been delivered before.
    pub again: bool,
}

/// Delivers the stored log to somebody, and remembers how far it came.
///
/// Every event is delivered at least once, from the first in the log on, whatever happens to the receiver, to this
/// process or to the database meanwhile. Of several processes with a consumer of one name, one delivers; when it falls
/// silent for a minute, another goes on. Nothing is pruned before every consumer has had it.
#[derive(Debug)]
pub struct Consumer<C> {
    log: AuditLog,
    name: String,
    holder: Uuid,
    receiver: C,
    delivering: Delivering,
}

/// How a running consumer fares. Clones look at the same one.
#[derive(Debug, Clone, Default)]
pub struct Delivering(Arc<Mutex<Option<String>>>);

impl Delivering {
    /// Why the last round failed; `None` when it did not.
    pub fn failing(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, failure: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// What came of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// So many events were delivered; 0 means that all were before.
    Delivered(u64),
    /// Another process delivers.
    Elsewhere,
}

/// Why a round ended early. What was delivered until then is remembered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The log could not be read, or the place not kept.
    #[error("the audit database failed")]
    Store(#[from] StoreError),
    /// The receiver did not take the events.
    #[error("the receiver of audit events failed")]
    Receiver(#[source] SinkError),
}

impl From<sqlx::Error> for ConsumerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl<C: Consume> Consumer<C> {
    /// A consumer under a name that is its own; `holder` is the id of this process.
    pub fn new(log: AuditLog, name: &str, holder: Uuid, receiver: C) -> Self {
        Self { log, name: name.to_owned(), holder, receiver, delivering: Delivering::default() }
    }

    /// How it fares once it runs.
    pub fn delivering(&self) -> Delivering {
        self.delivering.clone()
    }

    /// Rounds until it is told to stop; between them a pause, which grows up to sixtyfold while the receiver fails. What
    /// fails is told to `tracing` when it begins and when it ends.
    ///
    /// Told to stop, it makes one more round, and lets another process deliver at once.
    pub async fn run(
        mut self,
        now: impl Fn() -> Timestamp + Send,
        pause: Duration,
        stop: impl Future<Output = ()> + Send,
    ) {
        let mut stop = pin!(stop);
        let mut failures = 0_u32;
        loop {
            let wait = match self.round(now()).await {
                Ok(round) => {
                    if failures > 0 {
                        tracing::info!(consumer = self.name, "audit events are delivered again");
                    }
                    failures = 0;
                    self.delivering.set(None);
                    if matches!(round, Round::Delivered(1..)) { Duration::ZERO } else { pause }
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(consumer = self.name, error = story(&error), "audit events wait");
                    }
                    failures = failures.saturating_add(1);
                    self.delivering.set(Some(story(&error)));
                    pause * 2_u32.saturating_pow(failures).min(60)
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = sleep(wait) => {}
            }
        }
        // What fails or takes too long now is delivered by whoever comes next.
        let _ = timeout(LAST_ROUND, self.round(now())).await;
        if let Err(error) = self.give_up_lease(now()).await {
            tracing::warn!(consumer = self.name, error = story(&error), "others wait before they deliver");
        }
    }

    async fn give_up_lease(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut work = self.log.store.begin().await?;
        sqlx::query("UPDATE audit_consumer SET until = $1 WHERE name = $2 AND holder = $3")
            .bind(now.as_microsecond().saturating_sub(1))
            .bind(&self.name)
            .bind(self.holder.to_string())
            .execute(&mut *work)
            .await?;
        work.commit(Cause::Upkeep).await
    }

    /// Delivers what there is, at most a batch of each chain.
    pub async fn round(&mut self, now: Timestamp) -> Result<Round, ConsumerError> {
        if !self.take_lease(now).await? {
            return Ok(Round::Elsewhere);
        }
        let mut delivered = 0;
        for (scope, sequence, attempted) in self.news().await? {
            let entries = self.log.after(&scope, sequence, BATCH).await?;
            let Some(last) = entries.last().map(|entry| entry.sequence) else {
                self.pass_pruned(&scope, sequence).await?;
                continue;
            };
            self.attempt(&scope, sequence, last).await?;
            let again = |entry: &Entry| entry.sequence <= attempted;
            let events: Vec<_> =
                entries.into_iter().map(|entry| Delivery { again: again(&entry), entry }).collect();
            self.receiver.deliver(&events, now).await.map_err(ConsumerError::Receiver)?;
            if !self.advance(&scope, sequence, last).await? {
                return Ok(Round::Elsewhere);
            }
            delivered += events.len() as u64;
        }
        Ok(Round::Delivered(delivered))
    }

    /// What was pruned before this consumer came is not waited for.
    async fn pass_pruned(&self, scope: &str, sequence: u64) -> Result<(), StoreError> {
        let Ok(base) = self.log.base(scope).await? else { return Ok(()) };
        if base.sequence > sequence {
            self.attempt(scope, sequence, base.sequence).await?;
            self.advance(scope, sequence, base.sequence).await?;
        }
        Ok(())
    }

    /// Whether it is this process that delivers.
    async fn take_lease(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut work = self.log.store.begin().await?;
        let taken = sqlx::query(
            "INSERT INTO audit_consumer (name, holder, until) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE audit_consumer.holder = excluded.holder OR audit_consumer.until < $4",
        )
        .bind(&self.name)
        .bind(self.holder.to_string())
        .bind(now.saturating_add(LEASE).map_or(i64::MAX, Timestamp::as_microsecond))
        .bind(now.as_microsecond())
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(taken.rows_affected() > 0)
    }

    /// The chains that have more than was delivered: how far that was, and how far it was tried.
    async fn news(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT h.scope, CAST(coalesce(c.sequence, 0) AS BIGINT), CAST(coalesce(c.attempted, 0) AS BIGINT)
             FROM audit_head h LEFT JOIN audit_cursor c ON c.scope = h.scope AND c.consumer = $1
             WHERE h.sequence > coalesce(c.sequence, 0) ORDER BY h.scope",
        )
        .bind(&self.name)
        .fetch_all(self.log.store.reader())
        .await?;
        let news = rows.iter().map(|row| {
            let place = |column: usize| u64::try_from(row.try_get::<i64, _>(column)?).map_err(decode);
            Ok((row.try_get(0)?, place(1)?, place(2)?))
        });
        Ok(news.collect::<Result<_, sqlx::Error>>()?)
    }

    /// Remembers, before it is tried, what is about to be delivered.
    async fn attempt(&self, scope: &str, sequence: u64, last: u64) -> Result<(), StoreError> {
        let mut work = self.log.store.begin().await?;
        sqlx::query(
            "INSERT INTO audit_cursor (consumer, scope, sequence, attempted) VALUES ($1, $2, $3, $4)
             ON CONFLICT (consumer, scope) DO UPDATE SET attempted = excluded.attempted
             WHERE audit_cursor.attempted < excluded.attempted",
        )
        .bind(&self.name)
        .bind(scope)
        .bind(stored(sequence))
        .bind(stored(last))
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await
    }

    /// Remembers what was delivered, unless another process took over and did so before.
    async fn advance(&self, scope: &str, sequence: u64, last: u64) -> Result<bool, StoreError> {
        let mut work = self.log.store.begin().await?;
        let moved = sqlx::query(
            "UPDATE audit_cursor SET sequence = $1 WHERE consumer = $2 AND scope = $3 AND sequence = $4",
        )
        .bind(stored(last))
        .bind(&self.name)
        .bind(scope)
        .bind(stored(sequence))
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(moved.rows_affected() > 0)
    }
}

impl AuditLog {
    /// Events that a consumer has not had yet.
    pub async fn backlog(&self, consumer: &str) -> Result<u64, StoreError> {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT CAST(coalesce(sum(h.sequence - coalesce(c.sequence, 0)), 0) AS BIGINT)
             FROM audit_head h LEFT JOIN audit_cursor c ON c.scope = h.scope AND c.consumer = $1",
        )
        .bind(consumer)
        .fetch_one(self.store.reader())
        .await?;
        Ok(waiting.unsigned_abs())
    }

    /// Lets a consumer go on from a position, its chains that are not in it from their beginning: an earlier one to
    /// deliver again what it has had, the end of the log to leave out what was.
    pub async fn place_consumer(&self, consumer: &str, position: &Position) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        sqlx::query("UPDATE audit_cursor SET sequence = 0 WHERE consumer = $1")
            .bind(consumer)
            .execute(&mut *work)
            .await?;
        for (scope, sequence) in position.places() {
            sqlx::query(
                "INSERT INTO audit_cursor (consumer, scope, sequence, attempted) VALUES ($1, $2, $3, $3)
                 ON CONFLICT (consumer, scope) DO UPDATE SET sequence = excluded.sequence",
            )
            .bind(consumer)
            .bind(scope)
            .bind(stored(sequence))
            .execute(&mut *work)
            .await?;
        }
        work.commit(Cause::Upkeep).await
    }

    /// The consumers that nobody has delivered for since an instant.
    pub async fn silent_consumers(&self, since: Timestamp) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM audit_consumer WHERE until < $1 ORDER BY name";
        Ok(sqlx::query_scalar(sql).bind(since.as_microsecond()).fetch_all(self.store.reader()).await?)
    }

    /// Forgets a consumer that is no more, so that nothing is kept from pruning for it.
    pub async fn forget_consumer(&self, consumer: &str) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        for sql in
            ["DELETE FROM audit_cursor WHERE consumer = $1", "DELETE FROM audit_consumer WHERE name = $1"]
        {
            sqlx::query(sql).bind(consumer).execute(&mut *work).await?;
        }
        work.commit(Cause::Upkeep).await
    }
}
