//! Where the chains end: in the database, where a row is the lock of its chain, and as this process left them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Display, Write as _};

use serde::Serialize;
use store::sqlx::{self, AnyConnection};
use store::{Cause, Engine, Migration, Store, StoreError, Work};

use crate::chain::{Hash, Head, decode};

/// The heads of the scopes of a batch: as many as it has events, perhaps, so they come and go as few values.
pub(crate) type Heads<'s> = BTreeMap<&'s str, Head>;

/// Moves heads in the order of its arrays, and answers how many it has moved: by key, one after the other, so that two that
/// move the same ones do not wait for each other in a circle. A plan that joins otherwise would have another order.
pub(crate) const MIGRATION: Migration = Migration {
    version: 20_261_130_000_200,
    name: "audit heads are moved in order",
    sql: "
        -- postgres
        ALTER TABLE audit_head SET (fillfactor = 20);
        CREATE FUNCTION audit_advance(scopes TEXT[], was TEXT[], sequences BIGINT[], hashes TEXT[])
        RETURNS BIGINT LANGUAGE plpgsql
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
            DECLARE moved BIGINT;
            BEGIN
                UPDATE audit_head SET sequence = move.sequence, hash = move.hash
                FROM unnest(scopes, was, sequences, hashes) AS move (scope, was, sequence, hash)
                WHERE audit_head.scope = move.scope AND left(audit_head.hash, 16) = move.was;
                GET DIAGNOSTICS moved = ROW_COUNT;
                RETURN moved;
            END $$;
    ",
};

/// The most chains that are remembered.
const MOST: usize = 4096;

/// Where this process left the chains it wrote to. As long as nobody else writes to them, their heads need not be read.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<String, Head>);

impl Remembered {
    /// The heads of all these scopes, if all are remembered.
    pub(crate) fn heads<'s>(&self, scopes: &BTreeSet<&'s str>) -> Option<Heads<'s>> {
        scopes.iter().map(|scope| Some((*scope, *self.0.get(*scope)?))).collect()
    }

    /// Remembers that the chains end here now.
    pub(crate) fn keep(&mut self, heads: &Heads<'_>) {
        for (scope, head) in heads {
            if let Some(kept) = self.0.get_mut(*scope) {
                *kept = *head;
                continue;
            }
            if self.0.len() == MOST {
                self.0.clear();
            }
            self.0.insert((*scope).to_owned(), *head);
        }
    }
}

/// Moves all these heads on, or says that one of them is not where it was thought to be. The beginning of its hash is enough
/// to tell, which is over the sequence as well.
pub(crate) async fn advance(
    connection: &mut AnyConnection,
    engine: Engine,
    from: &Heads<'_>,
    to: &Heads<'_>,
) -> Result<bool, sqlx::Error> {
    let moved = match engine {
        Engine::Sqlite => {
            let moves: Vec<_> = from
                .iter()
                .zip(to.values())
                .map(|((scope, from), to)| (scope, beginning(from), to.sequence, to.hash))
                .collect();
            let sql = "UPDATE audit_head SET sequence = move.value ->> 2, hash = move.value ->> 3
                       FROM json_each($1) AS move WHERE scope = move.value ->> 0 AND substr(hash, 1, 16) = move.value ->> 1";
            sqlx::query(sql).bind(json(&moves)?).execute(connection).await?.rows_affected()
        }
        Engine::Postgres => {
            let sql = "SELECT audit_advance(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]),
                           CAST($4 AS TEXT[]))";
            let moved: i64 = sqlx::query_scalar(sql)
                .bind(names(from.keys()))
                .bind(array(from.values().map(beginning)))
                .bind(array(to.values().map(|head| head.sequence)))
                .bind(array(to.values().map(|head| head.hash)))
                .fetch_one(connection)
                .await?;
            moved.unsigned_abs()
        }
    };
    Ok(moved == from.len() as u64)
}

/// A unit of work that has the heads of these scopes for itself, and has read them.
///
/// INVARIANT: they are locked in the order in which they are moved, so that no two batches wait for each other.
pub(crate) async fn hold<'s>(
    store: &Store,
    scopes: &BTreeSet<&'s str>,
) -> Result<(Work, Heads<'s>), StoreError> {
    let (read, make) = match store.engine() {
        // Its one writer has everything for itself.
        Engine::Sqlite => (
            "SELECT json_group_object(scope, json_array(sequence, hash)) FROM audit_head
             WHERE scope IN (SELECT value FROM json_each($1))",
            "INSERT INTO audit_head (scope, sequence, hash) SELECT value, 0, $2 FROM json_each($1) WHERE true
             ON CONFLICT DO NOTHING",
        ),
        Engine::Postgres => (
            "SELECT CAST(json_object_agg(scope, json_build_array(sequence, hash)) AS TEXT) FROM (
                 SELECT scope, sequence, hash FROM audit_head
                 WHERE scope = ANY(CAST($1 AS TEXT[]))
                 ORDER BY scope COLLATE \"C\" FOR UPDATE
             ) AS locked",
            "INSERT INTO audit_head (scope, sequence, hash)
             SELECT scope, 0, $2 FROM unnest(CAST($1 AS TEXT[])) AS scope ON CONFLICT DO NOTHING",
        ),
    };
    let wanted = match store.engine() {
        Engine::Sqlite => json(&scopes)?,
        Engine::Postgres => names(scopes.iter()),
    };
    loop {
        let mut work = store.begin().await?;
        let found: Option<String> = sqlx::query_scalar(read).bind(&wanted).fetch_one(&mut *work).await?;
        let found: HashMap<String, (u64, Hash)> =
            serde_json::from_str(found.as_deref().unwrap_or("{}")).map_err(decode)?;
        let head = |scope: &&'s str| {
            let (sequence, hash) = *found.get(*scope)?;
            Some((*scope, Head { sequence, hash }))
        };
        if let Some(heads) = scopes.iter().map(head).collect() {
            return Ok((work, heads));
        }
        // A row that is not there cannot be locked. It is made first, by a transaction that holds nothing else.
        drop(work);
        let mut work = store.begin().await?;
        let none = Head::NONE.hash.to_string();
        sqlx::query(make).bind(&wanted).bind(none).execute(&mut *work).await?;
        work.commit(Cause::Upkeep).await?;
    }
}

/// The first digits of its hash.
fn beginning(head: &Head) -> String {
    let mut digits = head.hash.to_string();
    digits.truncate(16);
    digits
}

fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// An array as PostgreSQL reads it, of what has neither quotes nor backslashes.
fn array(values: impl Iterator<Item = impl Display>) -> String {
    let mut array = String::from("{");
    for value in values {
        let separator = if array.len() > 1 { "," } else { "" };
        let _into_a_string = write!(array, "{separator}\"{value}\"");
    }
    array + "}"
}

/// The same of scopes, which may have them.
fn names<'s>(scopes: impl Iterator<Item = &'s &'s str>) -> String {
    array(scopes.map(|scope| {
        let plain = !scope.contains(['\\', '"']);
        if plain { Cow::Borrowed(*scope) } else { scope.replace('\\', "\\\\").replace('"', "\\\"").into() }
    }))
}
