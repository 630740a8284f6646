//! Where the chains end: in the database, where a row is the lock of its chain, and as this process left them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;

use serde::Serialize;
use store::sqlx::{self, AnyConnection};
use store::{Cause, Engine, Store, StoreError, Work};

use crate::chain::{Hash, Head, decode};

/// The heads of the scopes of a batch: as many as it has events, perhaps, so they come and go as few values.
pub(crate) type Heads = BTreeMap<String, Head>;

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

/// Moves all these heads on, or says that one of them is not where it was thought to be.
///
/// A head that another process holds is not waited for: it is about to be elsewhere. So nobody waits in a circle either.
pub(crate) async fn advance(
    connection: &mut AnyConnection,
    engine: Engine,
    from: &Heads,
    to: &Heads,
) -> Result<bool, sqlx::Error> {
    let moves = from.iter().zip(to.values());
    let query = match engine {
        Engine::Sqlite => {
            let moves = moves.map(|((scope, from), to)| (scope, from.sequence, from.hash, to.sequence, to.hash));
            sqlx::query(
                "UPDATE audit_head SET sequence = move.value ->> 3, hash = move.value ->> 4 FROM json_each($1) AS move
                 WHERE scope = move.value ->> 0 AND sequence = move.value ->> 1 AND hash = move.value ->> 2",
            )
            .bind(json(&moves.collect::<Vec<_>>())?)
        }
        Engine::Postgres => sqlx::query(
            "WITH held AS MATERIALIZED (
                 SELECT audit_head.ctid AS place, move.sequence, move.hash
                 FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[]), CAST($3 AS TEXT[]), CAST($4 AS BIGINT[]),
                     CAST($5 AS TEXT[])) AS move (scope, from_sequence, from_hash, sequence, hash)
                 JOIN audit_head ON audit_head.scope = move.scope
                     AND audit_head.sequence = move.from_sequence AND audit_head.hash = move.from_hash
                 FOR UPDATE OF audit_head SKIP LOCKED
             )
             UPDATE audit_head SET sequence = held.sequence, hash = held.hash FROM held
             WHERE audit_head.ctid = held.place",
        )
        .bind(array(from.keys()))
        .bind(array(from.values().map(|head| head.sequence)))
        .bind(array(from.values().map(|head| head.hash)))
        .bind(array(to.values().map(|head| head.sequence)))
        .bind(array(to.values().map(|head| head.hash))),
    };
    Ok(query.execute(connection).await?.rows_affected() == from.len() as u64)
}

/// A unit of work that has the heads of these scopes for itself, and has read them.
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
                 WHERE scope IN (SELECT value FROM json_array_elements_text(CAST($1 AS JSON)))
                 ORDER BY scope COLLATE \"C\" FOR UPDATE
             ) AS locked",
            "INSERT INTO audit_head (scope, sequence, hash)
             SELECT value, 0, $2 FROM json_array_elements_text(CAST($1 AS JSON)) ON CONFLICT DO NOTHING",
        ),
    };
    // INVARIANT: in this order in every process, so that no two batches wait for each other.
    let names = json(&scopes)?;
    loop {
        let mut work = store.begin().await?;
        let found: Option<String> = sqlx::query_scalar(read).bind(&names).fetch_one(&mut *work).await?;
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
        sqlx::query(make).bind(&names).bind(none).execute(&mut *work).await?;
        work.commit(Cause::Upkeep).await?;
    }
}

fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// An array as PostgreSQL reads it.
fn array(values: impl Iterator<Item = impl Display>) -> String {
    let quote =
        |value: &dyn Display| format!("\"{}\"", value.to_string().replace('\\', "\\\\").replace('"', "\\\""));
    let values: Vec<_> = values.map(|value| quote(&value)).collect();
    format!("{{{}}}", values.join(","))
}
