use std::sync::{Arc, Mutex, PoisonError};

use store::sqlx::{self, AnyConnection};
use store::{Migration, Store, StoreError};

use crate::Event;

/// The table of [`SqlSink`].
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_122_000_200,
    name: "audit events",
    sql: "
        CREATE TABLE audit_event (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            time BIGINT NOT NULL,
            tenant TEXT,
            actor TEXT NOT NULL,
            command TEXT,
            module TEXT,
            result TEXT NOT NULL,
            error_code TEXT,
            duration BIGINT,
            correlation_id TEXT,
            trace_id TEXT,
            span_id TEXT,
            metadata TEXT NOT NULL
        );
        CREATE INDEX audit_event_time ON audit_event (time, id);
        CREATE INDEX audit_event_tenant ON audit_event (tenant, time, id);
        CREATE INDEX audit_event_trace ON audit_event (trace_id);
    ",
}];

/// Where events go.
pub trait Sink: Send + 'static {
    /// Keeps the events, all or none, durably. What failed is offered again, so an event that is already there is passed
    /// over.
    fn write(&mut self, events: &[Event]) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// Why a sink did not keep the events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The database did not take them.
    #[error("the audit database failed")]
    Store(#[from] StoreError),
    /// Another kind of sink did not take them.
    #[error("the audit sink failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps events in the database, one transaction per batch.
#[derive(Debug)]
pub struct SqlSink {
    store: Store,
}

impl SqlSink {
    /// Uses the table of [`MIGRATIONS`].
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Sink for SqlSink {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        let mut work = self.store.begin().await?;
        for event in events {
            insert(&mut work, event).await.map_err(StoreError::from)?;
        }
        Ok(work.commit().await?)
    }
}

async fn insert(connection: &mut AnyConnection, event: &Event) -> Result<(), sqlx::Error> {
    let metadata =
        serde_json::to_string(&event.metadata).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let duration = event.duration.map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
    sqlx::query(
        "INSERT INTO audit_event (id, name, time, tenant, actor, command, module, result, error_code, duration,
             correlation_id, trace_id, span_id, metadata)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(event.id.to_string())
    .bind(&event.name)
    .bind(event.time.as_microsecond())
    .bind(&event.tenant)
    .bind(&event.actor)
    .bind(&event.command)
    .bind(event.module())
    .bind(event.result.as_str())
    .bind(&event.error_code)
    .bind(duration)
    .bind(&event.correlation_id)
    .bind(&event.trace_id)
    .bind(&event.span_id)
    .bind(metadata)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps events in memory, for as long as a clone of it lives.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    events: Arc<Mutex<Vec<Event>>>,
}

impl MemorySink {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written so far, oldest first. [`Recorder::flush`](crate::Recorder::flush) first to see all that was
    /// recorded.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for MemorySink {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        Ok(())
    }
}
