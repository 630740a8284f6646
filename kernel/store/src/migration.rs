use std::collections::BTreeMap;

use sqlx::migrate::{Migrate as _, MigrationType};
use sqlx::{AnyConnection, AssertSqlSafe, SqlSafeStr as _};

use crate::{Cause, Engine, Store, StoreError, Work, open_call};

const TABLE: &str = "schema_migration";

/// Any number will do, as long as nobody else takes advisory locks on it.
const LOCK: i64 = 0x6368_616e_6365_7279;

/// One step of a module's schema. Once released it never changes; the next change is the next step.
///
/// ```
/// # use chancery_store::Migration;
/// pub const MIGRATIONS: &[Migration] =
///     &[Migration { version: 20261122_000100, name: "note", sql: "CREATE TABLE note (text TEXT NOT NULL)" }];
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// When it was written, as `YYYYMMDD_HHMMSS`; unique among all modules. Steps are applied in this order.
    pub version: i64,
    /// What it is about, for people.
    pub name: &'static str,
    /// Statements that both engines understand, separated by semicolons. Where the engines have no common text, as for
    /// triggers, what follows a line `-- sqlite` or `-- postgres` is for that engine only, up to a line `-- both`.
    pub sql: &'static str,
}

impl Store {
    /// Brings the schema up to date with the store's own migration and those of all mounted modules, in one transaction, and answers which
    /// steps that took. Processes that start together take turns.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<Vec<Migration>, StoreError> {
        let mut work = self.begin_schema_change().await?;
        let pending = outstanding(&mut work, self.engine(), migrations).await?;
        for step in &pending {
            work.apply(TABLE, &step.to_sqlx(self.engine()))
                .await
                .map_err(|source| StoreError::Migration { version: step.version, name: step.name, source })?;
        }
        work.commit(Cause::Upkeep).await?;
        Ok(pending)
    }

    /// What [`migrate`](Self::migrate) would apply, in order. Fails as it would, changes nothing.
    pub async fn pending(&self, migrations: &[Migration]) -> Result<Vec<Migration>, StoreError> {
        let mut work = self.begin_schema_change().await?;
        outstanding(&mut work, self.engine(), migrations).await
    }

    /// A unit of work that excludes every other change of the schema until it ends.
    async fn begin_schema_change(&self) -> Result<Work, StoreError> {
        let mut work = self.begin().await?;
        if self.engine() == Engine::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *work).await?;
        }
        Ok(work)
    }
}

/// The migrations that the database does not have yet, oldest first.
async fn outstanding(
    connection: &mut AnyConnection,
    engine: Engine,
    migrations: &[Migration],
) -> Result<Vec<Migration>, StoreError> {
    let mut outstanding = BTreeMap::new();
    for &step in std::iter::once(&open_call::MIGRATION).chain(migrations) {
        if let Some(Migration { version, name, .. }) = outstanding.insert(step.version, step) {
            return Err(StoreError::DuplicateMigration { version, first: name, second: step.name });
        }
    }
    connection.ensure_migrations_table(TABLE).await?;
    for applied in connection.list_applied_migrations(TABLE).await? {
        let Some(step) = outstanding.remove(&applied.version) else {
            return Err(StoreError::SchemaNewer { version: applied.version });
        };
        if step.to_sqlx(engine).checksum != applied.checksum {
            return Err(StoreError::MigrationChanged { version: step.version, name: step.name });
        }
    }
    Ok(outstanding.into_values().collect())
}

impl Migration {
    fn to_sqlx(self, engine: Engine) -> sqlx::migrate::Migration {
        let sql = AssertSqlSafe(self.text_for(engine)).into_sql_str();
        sqlx::migrate::Migration::new(self.version, self.name.into(), MigrationType::Simple, sql, false)
    }

    /// The lines that are meant for this engine.
    fn text_for(self, engine: Engine) -> String {
        let mut meant = true;
        let mut text = String::with_capacity(self.sql.len());
        for line in self.sql.split_inclusive('\n') {
            match line.trim() {
                "-- both" => meant = true,
                "-- sqlite" => meant = engine == Engine::Sqlite,
                "-- postgres" => meant = engine == Engine::Postgres,
                _ if meant => text.push_str(line),
                _ => {}
            }
        }
        text
    }
}
