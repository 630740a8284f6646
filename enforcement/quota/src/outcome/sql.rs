use std::sync::Arc;

use jiff::Timestamp;
use store::{Cause, Migration, Store, sqlx};
use uuid::Uuid;

use super::{Claim, ClaimGuard, ClaimRequest, Lifetimes, OutcomeError, OutcomeStore};
use crate::BoxFuture;
use crate::key::{Tickets, deadline, digest};

pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_122_000_110,
    name: "outcomes of idempotent calls",
    sql: "
        CREATE TABLE quota_outcome (
            claim TEXT PRIMARY KEY,
            ticket TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            outcome TEXT,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX quota_outcome_expiry ON quota_outcome (expires_at);
    ",
};

/// Outcomes in the database, shared by all processes that use it.
#[derive(Debug, Clone)]
pub struct SqlOutcomes {
    store: Store,
    tickets: Arc<Tickets>,
}

impl SqlOutcomes {
    /// Uses the table of [`MIGRATIONS`](crate::MIGRATIONS). No two running processes may have the same `node`; make it
    /// at start-up.
    pub fn new(store: Store, node: Uuid) -> Self {
        Self { store, tickets: Arc::new(Tickets::new(node)) }
    }

    /// Removes every claim and outcome that is expired, and tells how many those were. A claim looks after its own key;
    /// this is for the keys nobody asks about again, from time to time.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<u64, OutcomeError> {
        let mut work = self.store.begin().await?;
        let forgotten = sqlx::query("DELETE FROM quota_outcome WHERE expires_at <= $1")
            .bind(now.as_microsecond())
            .execute(&mut *work)
            .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(forgotten.rows_affected())
    }
}

impl OutcomeStore for SqlOutcomes {
    fn claim<'a>(
        &'a self,
        request: ClaimRequest<'a>,
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Claim, OutcomeError>> {
        Box::pin(async move {
            let key = request.digest();
            let fingerprint = digest(&[request.fingerprint]);
            let ticket = self.tickets.next();
            let mut work = self.store.begin().await?;
            sqlx::query("DELETE FROM quota_outcome WHERE claim = $1 AND expires_at <= $2")
                .bind(&key)
                .bind(now.as_microsecond())
                .execute(&mut *work)
                .await?;
            let inserted = sqlx::query(
                "INSERT INTO quota_outcome (claim, ticket, fingerprint, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (claim) DO NOTHING",
            )
            .bind(&key)
            .bind(&ticket)
            .bind(&fingerprint)
            .bind(deadline(now, lifetimes.pending))
            .execute(&mut *work)
            .await?;
            if inserted.rows_affected() == 1 {
                work.commit(Cause::Upkeep).await?;
                let store = self.store.clone();
                let stored_until = deadline(now, lifetimes.stored);
                return Ok(Claim::New(ClaimGuard::new(move |outcome| {
                    settle(store, key, ticket, outcome, stored_until)
                })));
            }
            let found: Option<(String, Option<String>)> =
                sqlx::query_as("SELECT fingerprint, outcome FROM quota_outcome WHERE claim = $1")
                    .bind(&key)
                    .fetch_optional(&mut *work)
                    .await?;
            Ok(match found {
                Some((theirs, _)) if theirs != fingerprint => Claim::Mismatch,
                Some((_, Some(outcome))) => Claim::stored(outcome),
                // A row that is gone again was abandoned since we collided with it: its caller has only just ended.
                Some((_, None)) | None => Claim::InFlight,
            })
        })
    }
}

async fn settle(
    store: Store,
    key: String,
    ticket: String,
    outcome: Option<String>,
    stored_until: i64,
) -> Result<(), OutcomeError> {
    let mut work = store.begin().await?;
    if let Some(outcome) = outcome {
        let stored = sqlx::query(
            "UPDATE quota_outcome SET outcome = $3, expires_at = $4 WHERE claim = $1 AND ticket = $2",
        )
        .bind(key)
        .bind(ticket)
        .bind(outcome)
        .bind(stored_until)
        .execute(&mut *work)
        .await?;
        if stored.rows_affected() == 0 {
            return Err(OutcomeError::Expired);
        }
    } else {
        sqlx::query("DELETE FROM quota_outcome WHERE claim = $1 AND ticket = $2")
            .bind(key)
            .bind(ticket)
            .execute(&mut *work)
            .await?;
    }
    work.commit(Cause::Upkeep).await?;
    Ok(())
}
