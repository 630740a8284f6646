use jiff::Timestamp;
use store::{Cause, Migration, Store, Work, sqlx};

use super::{Mark, Marks, MemoryError, Name, Note, Row};

pub(super) const MIGRATION: Migration = Migration {
    version: 20_261_129_000_500,
    name: "memory of the running license",
    sql: "
        CREATE TABLE license_memory (
            slot TEXT PRIMARY KEY,
            content TEXT NOT NULL,
            epoch BIGINT NOT NULL,
            version BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
    ",
};

/// Notes in the database, shared by all processes that use it.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    store: Store,
}

impl Sql {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    pub(crate) async fn changes(&self, known: &Marks) -> Result<Vec<(Name, Option<Row>)>, MemoryError> {
        let found: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT slot, epoch, version FROM license_memory WHERE slot IN ('installed', 'last-good', 'last-seen')",
        )
        .fetch_all(self.store.reader())
        .await?;
        let mut changes = Vec::new();
        for name in Name::ALL {
            let there = found.iter().find(|(slot, ..)| slot == name.as_str());
            let mark = there.map(|(_, epoch, version)| Mark { epoch: *epoch, version: *version });
            if mark != known.get(&name).copied() {
                changes.push((name, self.read(name).await?));
            }
        }
        Ok(changes)
    }

    async fn read(&self, name: Name) -> Result<Option<Row>, MemoryError> {
        let found: Option<(String, i64, i64)> =
            sqlx::query_as("SELECT content, epoch, version FROM license_memory WHERE slot = $1")
                .bind(name.as_str())
                .fetch_optional(self.store.reader())
                .await?;
        Ok(found.map(|(content, epoch, version)| Row { mark: Mark { epoch, version }, content }))
    }

    pub(crate) async fn keep(&self, note: &Note, replace: bool) -> Result<(), MemoryError> {
        let mut work = self.store.begin().await?;
        keep(&mut work, note, replace).await?;
        Ok(work.commit(Cause::Upkeep).await?)
    }

    pub(crate) async fn install(
        &self,
        note: &Note,
        seen: Option<&Note>,
        cause: Cause<'_>,
    ) -> Result<bool, MemoryError> {
        let mut work = self.store.begin().await?;
        let Row { mark, content } = &note.row;
        let replaced = mark.version - 1;
        // The first one is inserted, later ones replace exactly the one that the operator saw.
        let sql = if replaced == 0 {
            "INSERT INTO license_memory (slot, content, epoch, version, updated_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (slot) DO NOTHING"
        } else {
            "UPDATE license_memory SET content = $2, epoch = $3, version = $4, updated_at = $5
             WHERE slot = $1 AND version = $4 - 1"
        };
        let stored = sqlx::query(sql)
            .bind(note.name.as_str())
            .bind(content)
            .bind(mark.epoch)
            .bind(mark.version)
            .bind(note.at.as_microsecond())
            .execute(&mut *work)
            .await?;
        if stored.rows_affected() != 1 {
            return Ok(false);
        }
        if let Some(seen) = seen {
            keep(&mut work, seen, true).await?;
        }
        work.commit(cause).await?;
        Ok(true)
    }

    pub(crate) async fn is_first_to_say(&self, what: &str, now: Timestamp) -> Result<bool, MemoryError> {
        let mut work = self.store.begin().await?;
        let said = sqlx::query(
            "INSERT INTO license_memory (slot, content, epoch, version, updated_at) VALUES ($1, '', 0, 0, $2)
             ON CONFLICT (slot) DO NOTHING",
        )
        .bind(format!("said {what}"))
        .bind(now.as_microsecond())
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(said.rows_affected() == 1)
    }
}

/// Notes only ever move forward: of two replicas that write, the later time stays. Only a license that proves the clock
/// right sets one back, and then in a new epoch, against which the old ones lose.
async fn keep(work: &mut Work, note: &Note, replace: bool) -> Result<(), MemoryError> {
    let sql = if replace {
        "INSERT INTO license_memory (slot, content, epoch, version, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (slot) DO UPDATE SET content = excluded.content, epoch = excluded.epoch,
             version = excluded.version, updated_at = excluded.updated_at"
    } else {
        "INSERT INTO license_memory (slot, content, epoch, version, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (slot) DO UPDATE SET content = excluded.content, epoch = excluded.epoch,
             version = excluded.version, updated_at = excluded.updated_at
         WHERE (license_memory.epoch, license_memory.version) < (excluded.epoch, excluded.version)"
    };
    let Row { mark, content } = &note.row;
    sqlx::query(sql)
        .bind(note.name.as_str())
        .bind(content)
        .bind(mark.epoch)
        .bind(mark.version)
        .bind(note.at.as_microsecond())
        .execute(&mut **work)
        .await?;
    Ok(())
}
