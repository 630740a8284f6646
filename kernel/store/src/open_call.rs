use jiff::Timestamp;
use kernel::{Call, Cx};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};
use uuid::Uuid;

use crate::{Migration, Store, StoreError};

/// The table of open calls. It is there wherever [`Store::migrate`] was.
pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_122_000_000,
    name: "open calls",
    sql: "CREATE TABLE open_call (
        id TEXT PRIMARY KEY,
        command TEXT NOT NULL,
        tenant TEXT,
        actor TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        trace_id TEXT,
        span_id TEXT,
        started BIGINT NOT NULL,
        deadline BIGINT NOT NULL
    )",
};

/// The most ids of one statement.
const MOST: usize = 256;

/// A call that has committed a change, and whose end is not recorded yet. Written by [`Work::commit`](crate::Work::commit),
/// and closed in the transaction that records how the call ended. One that stays open past its deadline lost its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// The call, and what records its end.
    pub id: Uuid,
    /// The id of its command.
    pub command: String,
    /// For which tenant.
    pub tenant: Option<String>,
    /// By whom.
    pub actor: String,
    /// The request it belongs to.
    pub correlation_id: String,
    /// W3C trace id, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// W3C span id, 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// When it began.
    pub started: Timestamp,
}

impl OpenCall {
    /// Those that had to end before an instant; the oldest, at most as many as one round can take.
    pub async fn overdue(store: &Store, before: Timestamp) -> Result<Vec<Self>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, command, tenant, actor, correlation_id, trace_id, span_id, started FROM open_call
             WHERE deadline < $1 ORDER BY deadline LIMIT 256",
        )
        .bind(before.as_microsecond())
        .fetch_all(store.reader())
        .await?;
        Ok(rows.iter().map(Self::read).collect::<Result<_, _>>()?)
    }

    /// Closes those of these calls that are open.
    pub async fn close(connection: &mut AnyConnection, calls: &[Uuid]) -> Result<(), StoreError> {
        let mut rest = calls;
        while !rest.is_empty() {
            // A power of two, so that there are few texts to prepare.
            let (part, later) = rest.split_at(1 << rest.len().min(MOST).ilog2());
            let places: Vec<_> = (1..=part.len()).map(|n| format!("${n}")).collect();
            let sql = format!("DELETE FROM open_call WHERE id IN ({})", places.join(", "));
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.to_string());
            }
            query.execute(&mut *connection).await?;
            rest = later;
        }
        Ok(())
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
        let id: String = row.try_get(0)?;
        Ok(Self {
            id: id.parse().map_err(|error: uuid::Error| decode(error.into()))?,
            command: row.try_get(1)?,
            tenant: row.try_get(2)?,
            actor: row.try_get(3)?,
            correlation_id: row.try_get(4)?,
            trace_id: row.try_get(5)?,
            span_id: row.try_get(6)?,
            started: Timestamp::from_microsecond(row.try_get(7)?).map_err(|error| decode(error.into()))?,
        })
    }
}

/// Writes that a call has changed something, with what it changed.
pub(crate) async fn open(connection: &mut AnyConnection, cx: &Cx, call: &Call) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO open_call
             (id, command, tenant, actor, correlation_id, trace_id, span_id, started, deadline)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
    )
    .bind(call.id().to_string())
    .bind(call.command().as_str())
    .bind(cx.tenant().map(|tenant| tenant.to_string()))
    .bind(cx.recognized().unwrap_or(cx.principal().actor()))
    .bind(cx.correlation().as_str())
    .bind(cx.trace().map(|trace| hex::encode(trace.trace)))
    .bind(cx.trace().map(|trace| hex::encode(trace.span)))
    .bind(call.started().as_microsecond())
    .bind(cx.deadline().unwrap_or(call.started()).as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}
