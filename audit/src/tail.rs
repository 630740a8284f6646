use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::sqlx::{self, AssertSqlSafe, Row as _};

use crate::chain::{COLUMNS, Link, decode, stored};
use crate::{AuditLog, Entry};

/// How far somebody has read, chain by chain; the default is that nothing was read. As JSON it may be kept.
///
/// A place in each chain, because there is no other order in which nothing can appear behind a reader's back: two chains
/// are written at once, and the later of two instants may be committed first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Position(BTreeMap<String, u64>);

impl Position {
    /// The last place read of each chain.
    pub fn places(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(scope, sequence)| (scope.as_str(), *sequence))
    }
}

impl AuditLog {
    /// Where all chains end now.
    pub async fn end_of_log(&self) -> Result<Position, StoreError> {
        let mut position = Position::default();
        for (scope, sequence) in self.ends().await? {
            position.0.insert(scope, sequence);
        }
        Ok(position)
    }

    /// At most `limit` events recorded after a position, those of one chain in their order, and moves the position behind
    /// them. None means that there are no more now.
    pub async fn tail(&self, after: &mut Position, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let mut events = Vec::new();
        for (scope, end) in self.ends().await? {
            let read = after.0.get(&scope).copied().unwrap_or(0);
            let room = limit.max(1) as usize - events.len();
            if room == 0 {
                break;
            }
            if read < end {
                let mut news = self.after(&scope, read, room).await?;
                let last = news.last().map_or(end, |entry| entry.sequence);
                after.0.insert(scope, last);
                events.append(&mut news);
            }
        }
        Ok(events)
    }

    /// The end of every chain. What was pruned is before that, too.
    pub(crate) async fn ends(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT scope, sequence FROM audit_head WHERE sequence > 0 ORDER BY scope";
        let rows = sqlx::query(sql).fetch_all(self.store.reader()).await?;
        let end = |row: &sqlx::any::AnyRow| {
            Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).map_err(decode)?))
        };
        Ok(rows.iter().map(end).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The next events of one chain.
    pub(crate) async fn after(
        &self,
        scope: &str,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_event WHERE scope = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(scope)
            .bind(stored(sequence))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.store.reader())
            .await?;
        Ok(rows.iter().map(|row| Link::read(row)?.into_entry()).collect::<Result<_, _>>()?)
    }
}
