use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, ConnectOptions as _, Executor as _};
use tokio::time::{Instant, timeout};

use crate::{Engine, Store, StoreError, out_of_patience};

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine.
    Full,
    /// A crash of the process, like [`Store::begin_relaxed`].
    Relaxed,
}

/// A connection that is kept, for a path so hot that borrowing one for each transaction costs more than the transaction:
/// begin, commit and giving back are a round trip each. Here a statement is a transaction of its own, in one trip.
///
/// It is one more connection than [`Options::connections`](crate::Options::connections), made when it is first used and
/// again after whatever went wrong with it. On SQLite it takes turns with [`Store::begin`].
#[derive(Debug)]
pub struct Lane {
    store: Store,
    greeting: String,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    connection: AnyConnection,
    since: Instant,
}

impl Store {
    /// A lane whose statements are this durable. `settings` are statements for PostgreSQL to begin its session with.
    pub fn lane(&self, durability: Durability, settings: &str) -> Lane {
        let greeting = match (self.engine, durability) {
            (Engine::Sqlite, Durability::Full) => self.writing.to_string(),
            (Engine::Sqlite, Durability::Relaxed) => format!("{} PRAGMA synchronous = NORMAL;", self.writing),
            (Engine::Postgres, Durability::Full) => settings.to_owned(),
            (Engine::Postgres, Durability::Relaxed) => format!("{settings}; SET synchronous_commit = off"),
        };
        Lane { store: self.clone(), greeting, kept: None }
    }

    async fn connect(&self, greeting: &str) -> Result<Kept, StoreError> {
        let since = Instant::now();
        let connecting = async {
            let mut connection = self.address.connect().await?;
            connection.execute(AssertSqlSafe(greeting)).await?;
            Ok(connection)
        };
        let connected = timeout(self.patience, connecting).await;
        let connection = connected.unwrap_or_else(|_| Err(out_of_patience()))?;
        Ok(Kept { connection, since })
    }
}

impl Lane {
    /// Runs a single statement and commits it.
    pub async fn fetch_all(
        &mut self,
        query: Query<'_, Any, AnyArguments>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let _turn = self.store.turn_to_write().await?;
        if self.store.writer.is_closed() {
            self.kept = None;
            return Err(sqlx::Error::PoolClosed.into());
        }
        // Taken out: a statement that is given up on, or fails, leaves nothing of itself to the next.
        let mut kept = match self.kept.take() {
            Some(kept) if self.store.schema.fits(kept.since.elapsed()) => kept,
            _ => self.store.connect(&self.greeting).await?,
        };
        let answer = query.fetch_all(&mut kept.connection).await;
        // A file has refused the statement and nothing else; a server may have said good-bye.
        let refused = matches!(answer, Err(sqlx::Error::Database(_))) && self.store.engine == Engine::Sqlite;
        if answer.is_ok() || refused {
            self.kept = Some(kept);
        }
        Ok(answer?)
    }
}
