//! Where the chains end: in the database, where a row is the lock of its chain, and as this process left them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Display, Write as _};

use serde::Serialize;
use store::sqlx::{self, AnyConnection};
use store::{Cause, Engine, Migration, Store, StoreError, Work};

use crate::chain::{Hash, Head, decode};

/// The heads of the scopes of a batch: as many as it has events, perhaps, so they come and go as few values.
pub(crate) type Heads = BTreeMap<String, Head>;

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
                WHERE audit_head.scope = move.scope AND audit_head.hash = move.was;
                GET DIAGNOSTICS moved = ROW_COUNT;
                RETURN moved;
            END $$;
    ",
};

/// The most chains that are remembered.
const MOST: usize = 4096;

/// Where this process left the chains it wrote to. As long as nobody else writes to them, their heads need not be read.
#[derive(Debug, Default)]
pub(crate) struct Left(HashMap<String, Head>);

impl Left {
    /// The heads of all these scopes, if all are remembered.
    pub(crate) fn heads(&self, scopes: &BTreeSet<String>) -> Option<Heads> {
        scopes.iter().map(|scope| Some((scope.clone(), *self.0.get(scope)?))).collect()
    }

    /// Remembers that the chains end here now.
    pub(crate) fn keep(&mut self, heads: Heads) {
        if self.0.len() + heads.len() > MOST {
            self.0.clear();
        }
        self.0.extend(heads);
    }
}

/// Moves all these heads on, or says that one of them is not where it was thought to be. The hash is enough to tell: it is
/// over the sequence as well.
pub(crate) async fn advance(
    connection: &mut AnyConnection,
    engine: Engine,
    from: &Heads,
    to: &Heads,
) -> Result<bool, sqlx::Error> {
    let moved = match engine {
        Engine::Sqlite => {
            let moves: Vec<_> = from
                .iter()
                .zip(to.values())
                .map(|((scope, from), to)| (scope, from.hash, to.sequence, to.hash))
                .collect();
            let sql = "UPDATE audit_head SET sequence = move.value ->> 2, hash = move.value ->> 3
                       FROM json_each($1) AS move WHERE scope = move.value ->> 0 AND hash = move.value ->> 1";
            sqlx::query(sql).bind(json(&moves)?).execute(connection).await?.rows_affected()
        }
        Engine::Postgres => {
            let sql = "SELECT audit_advance(CAST($1 AS TEXT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[]),
                           CAST($4 AS TEXT[]))";
            let moved: i64 = sqlx::query_scalar(sql)
                .bind(names(from.keys()))
                .bind(array(from.values().map(|head| head.hash)))
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
pub(crate) async fn hold(store: &Store, scopes: &BTreeSet<String>) -> Result<(Work, Heads), StoreError> {
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
        if found.len() == scopes.len() {
            let heads = found.into_iter().map(|(scope, (sequence, hash))| (scope, Head { sequence, hash }));
            return Ok((work, heads.collect()));
        }
        // A row that is not there cannot be locked. It is made first, by a transaction that holds nothing else.
        drop(work);
        let mut work = store.begin().await?;
        let none = Head::NONE.hash.to_string();
        sqlx::query(make).bind(&wanted).bind(none).execute(&mut *work).await?;
        work.commit(Cause::Upkeep).await?;
    }
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
fn names<'a>(scopes: impl Iterator<Item = &'a String>) -> String {
    array(scopes.map(|scope| scope.replace('\\', "\\\\").replace('"', "\\\"")))
}
