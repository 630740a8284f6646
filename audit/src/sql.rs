use std::collections::{BTreeMap, HashMap, HashSet};

use store::sqlx::{self, AnyConnection, AssertSqlSafe};
use store::{Cause, Engine, Migration, OpenCall, Store, StoreError, Work};

use crate::chain::{COLUMNS, Hash, Head, Link, Record, WIDTH, decode, stored};
use crate::{Event, Scope, Sink, SinkError};

/// The tables of [`SqlSink`], [`AuditLog`](crate::AuditLog) and [`Consumer`](crate::Consumer).
///
/// Events, checkpoints and notes of pruning are only ever added. Events go only where a sealed note says that the chain
/// up to there is proved. `REPLACE` of SQLite deletes without asking the trigger for deletes, so inserts have one too.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_124_000_200,
    name: "audit events",
    sql: "
        CREATE TABLE audit_head (
            scope TEXT PRIMARY KEY,
            sequence BIGINT NOT NULL,
            hash TEXT NOT NULL
        );
        CREATE TABLE audit_event (
            id TEXT PRIMARY KEY,
            scope TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            hash TEXT NOT NULL,
            name TEXT NOT NULL,
            time BIGINT NOT NULL,
            actor TEXT NOT NULL,
            command TEXT,
            module TEXT,
            result TEXT NOT NULL,
            error_code TEXT,
            duration BIGINT,
            correlation_id TEXT,
            trace_id TEXT,
            span_id TEXT,
            metadata TEXT NOT NULL,
            UNIQUE (scope, sequence)
        );
        CREATE INDEX audit_event_time ON audit_event (time, id);
        CREATE INDEX audit_event_trace ON audit_event (trace_id);
        CREATE TABLE audit_checkpoint (
            number BIGINT PRIMARY KEY,
            note TEXT NOT NULL
        );
        CREATE TABLE audit_sealed (
            scope TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            checkpoint BIGINT NOT NULL,
            PRIMARY KEY (scope, sequence)
        );
        CREATE TABLE audit_pruned (
            scope TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            note TEXT NOT NULL,
            PRIMARY KEY (scope, sequence)
        );
        CREATE TABLE audit_consumer (
            name TEXT PRIMARY KEY,
            holder TEXT NOT NULL,
            until BIGINT NOT NULL
        );
        CREATE TABLE audit_cursor (
            consumer TEXT NOT NULL,
            scope TEXT NOT NULL,
            sequence BIGINT NOT NULL,
            attempted BIGINT NOT NULL,
            PRIMARY KEY (consumer, scope)
        );
        -- sqlite
        CREATE TRIGGER audit_event_once BEFORE INSERT ON audit_event
            WHEN EXISTS (SELECT 1 FROM audit_event WHERE id = NEW.id)
                OR EXISTS (SELECT 1 FROM audit_event WHERE scope = NEW.scope AND sequence = NEW.sequence)
            BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
        CREATE TRIGGER audit_event_unchanged BEFORE UPDATE ON audit_event
            BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
        CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event
            WHEN NOT EXISTS (SELECT 1 FROM audit_pruned WHERE scope = OLD.scope AND sequence >= OLD.sequence)
            BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
        CREATE TRIGGER audit_checkpoint_once BEFORE INSERT ON audit_checkpoint
            WHEN EXISTS (SELECT 1 FROM audit_checkpoint WHERE number = NEW.number)
            BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
        CREATE TRIGGER audit_checkpoint_unchanged BEFORE UPDATE ON audit_checkpoint
            BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
        CREATE TRIGGER audit_checkpoint_kept BEFORE DELETE ON audit_checkpoint
            BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
        CREATE TRIGGER audit_pruned_sealed BEFORE INSERT ON audit_pruned
            WHEN NOT EXISTS (SELECT 1 FROM audit_sealed WHERE scope = NEW.scope AND sequence = NEW.sequence)
            BEGIN SELECT RAISE(ABORT, 'only sealed events are pruned'); END;
        CREATE TRIGGER audit_pruned_unchanged BEFORE UPDATE ON audit_pruned
            BEGIN SELECT RAISE(ABORT, 'audit_pruned is append-only'); END;
        CREATE TRIGGER audit_pruned_kept BEFORE DELETE ON audit_pruned
            BEGIN SELECT RAISE(ABORT, 'audit_pruned is append-only'); END;
        -- postgres
        ALTER TABLE audit_head SET (fillfactor = 50);
        CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
        CREATE FUNCTION audit_refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NOT EXISTS (SELECT 1 FROM audit_pruned WHERE scope = OLD.scope AND sequence >= OLD.sequence) THEN
                    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
                END IF;
                RETURN OLD;
            END $$;
        CREATE FUNCTION audit_refuse_unless_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NOT EXISTS (SELECT 1 FROM audit_sealed WHERE scope = NEW.scope AND sequence = NEW.sequence) THEN
                    RAISE EXCEPTION 'only sealed events are pruned';
                END IF;
                RETURN NEW;
            END $$;
        CREATE TRIGGER audit_pruned_sealed BEFORE INSERT ON audit_pruned
            FOR EACH ROW EXECUTE FUNCTION audit_refuse_unless_sealed();
        CREATE TRIGGER audit_event_unchanged BEFORE UPDATE OR TRUNCATE ON audit_event
            FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
        CREATE TRIGGER audit_event_kept BEFORE DELETE ON audit_event
            FOR EACH ROW EXECUTE FUNCTION audit_refuse_unless_pruned();
        CREATE TRIGGER audit_checkpoint_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
            FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
        CREATE TRIGGER audit_pruned_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_pruned
            FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
    ",
}];

/// Keeps events in the database, each linked to the one before in its scope: one transaction per batch, and a handful of
/// statements, however many scopes it touches.
///
/// Any number of sinks, in any number of processes, may write at once. Two of them wait for each other only where their
/// batches share a scope; on SQLite, which has one writer, always.
#[derive(Debug)]
pub struct SqlSink {
    store: Store,
}

impl SqlSink {
    /// Uses the tables of [`MIGRATIONS`].
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Sink for SqlSink {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        match append(&self.store, events, Repeats::Unlikely).await {
            // Most likely the key of an event that is there already.
            Err(StoreError::Database(sqlx::Error::Database(_))) => {
                append(&self.store, events, Repeats::Likely).await?;
                Ok(())
            }
            other => other.map(drop).map_err(SinkError::from),
        }
    }
}

/// Whether to ask which of the events are there already. Without asking, the first such event fails all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    Likely,
    Unlikely,
}

/// Appends the events, and closes the calls that they end. Answers the ids of those that were there already, where that was
/// asked.
pub(crate) async fn append(
    store: &Store,
    events: &[Event],
    repeats: Repeats,
) -> Result<HashSet<String>, StoreError> {
    // INVARIANT: scopes are locked in their order, in every process, so that no two batches wait for each other.
    let mut heads = BTreeMap::new();
    let mut seen = HashSet::with_capacity(events.len());
    let mut records = Vec::with_capacity(events.len());
    for event in events.iter().filter(|event| seen.insert(event.id)) {
        let scope = Scope::of(event).key();
        heads.entry(scope.clone().into_owned()).or_insert(Head::NONE);
        records.push((scope, Record::of(event).map_err(|error| sqlx::Error::Encode(error.into()))?));
    }
    let mut there = HashSet::new();
    if records.is_empty() {
        return Ok(there);
    }
    let closed: Vec<_> = events.iter().filter(|event| event.closes_call).map(|event| event.id).collect();

    let mut work = begin(store, &mut heads).await?;
    OpenCall::close(&mut work, &closed).await?;
    if repeats == Repeats::Likely {
        there = recorded(&mut work, &records).await?;
        records.retain(|(_, record)| !there.contains(&record.event_id));
    }
    let links: Vec<_> = records
        .into_iter()
        .filter_map(|(scope, record)| {
            let head = heads.get_mut(scope.as_ref())?;
            *head = head.next(&scope, &record);
            let (sequence, hash) = (stored(head.sequence), head.hash.to_string());
            Some(Link { scope: scope.into_owned(), sequence, hash, record })
        })
        .collect();
    if !links.is_empty() {
        insert(&mut work, links).await?;
        move_heads(&mut work, store.engine(), &heads).await?;
    }
    work.commit(Cause::Upkeep).await?;
    Ok(there)
}

/// A unit of work that has the head of each of these scopes for itself, and has read it.
async fn begin(store: &Store, heads: &mut BTreeMap<String, Head>) -> Result<Work, StoreError> {
    // A batch may touch as many scopes as it has events, so their heads come and go as one value: `{"platform":[7,"9f3c…"]}`.
    let read = match store.engine() {
        // Its one writer has everything for itself.
        Engine::Sqlite => {
            "SELECT json_group_object(scope, json_array(sequence, hash)) FROM audit_head
             WHERE scope IN (SELECT value FROM json_each($1))"
        }
        Engine::Postgres => {
            "SELECT CAST(json_object_agg(scope, json_build_array(sequence, hash)) AS TEXT) FROM (
                 SELECT scope, sequence, hash FROM audit_head
                 WHERE scope IN (SELECT value FROM json_array_elements_text(CAST($1 AS JSON)))
                 ORDER BY scope COLLATE \"C\" FOR UPDATE
             ) AS locked"
        }
    };
    let scopes = json(&heads.keys().collect::<Vec<_>>())?;
    loop {
        let mut work = store.begin().await?;
        let found: Option<String> = sqlx::query_scalar(read).bind(&scopes).fetch_one(&mut *work).await?;
        let found = found.as_deref().unwrap_or("{}");
        let found: HashMap<String, (u64, Hash)> = serde_json::from_str(found).map_err(decode)?;
        let all = found.len() == heads.len();
        heads.extend(found.into_iter().map(|(scope, (sequence, hash))| (scope, Head { sequence, hash })));
        if all || store.engine() == Engine::Sqlite {
            return Ok(work);
        }
        // A row that is not there cannot be locked. It is made first, by a transaction that holds nothing else.
        drop(work);
        let mut work = store.begin().await?;
        sqlx::query(
            "INSERT INTO audit_head (scope, sequence, hash)
             SELECT value, 0, $2 FROM json_array_elements_text(CAST($1 AS JSON)) ON CONFLICT DO NOTHING",
        )
        .bind(&scopes)
        .bind(Head::NONE.hash.to_string())
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// The ids of those events that are there already.
async fn recorded<S>(
    connection: &mut AnyConnection,
    records: &[(S, Record)],
) -> Result<HashSet<String>, sqlx::Error> {
    let mut there = HashSet::new();
    for part in parts(records) {
        let sql = format!("SELECT id FROM audit_event WHERE id IN ({})", places(0, part.len()));
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
        for (_, record) in part {
            query = query.bind(&record.event_id);
        }
        there.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(there)
}

async fn insert(connection: &mut AnyConnection, mut links: Vec<Link>) -> Result<(), sqlx::Error> {
    while !links.is_empty() {
        let rest = links.split_off(part(links.len(), 64));
        let sql = format!("INSERT INTO audit_event ({COLUMNS}) VALUES {}", tuples(links.len(), WIDTH));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for Link { scope, sequence, hash, record } in links {
            query = query
                .bind(sequence)
                .bind(hash)
                .bind(record.event_id)
                .bind(record.event)
                .bind(record.time_micros)
                .bind(record.actor_id)
                .bind(record.command_id)
                .bind(record.module)
                .bind(record.result)
                .bind(record.error_code)
                .bind(record.duration_micros)
                .bind(record.correlation_id)
                .bind(record.trace_id)
                .bind(record.span_id)
                .bind(record.metadata)
                .bind(scope);
        }
        query.execute(&mut *connection).await?;
        links = rest;
    }
    Ok(())
}

async fn move_heads(
    connection: &mut AnyConnection,
    engine: Engine,
    heads: &BTreeMap<String, Head>,
) -> Result<(), sqlx::Error> {
    let sql = match engine {
        Engine::Sqlite => {
            "INSERT INTO audit_head (scope, sequence, hash)
             SELECT key, value ->> 0, value ->> 1 FROM json_each($1) WHERE true
             ON CONFLICT (scope) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash"
        }
        Engine::Postgres => {
            "UPDATE audit_head SET sequence = CAST(moved.value ->> 0 AS BIGINT), hash = moved.value ->> 1
             FROM json_each(CAST($1 AS JSON)) AS moved WHERE audit_head.scope = moved.key"
        }
    };
    let heads: BTreeMap<_, _> =
        heads.iter().map(|(scope, head)| (scope, (head.sequence, head.hash))).collect();
    sqlx::query(sql).bind(json(&heads)?).execute(connection).await?;
    Ok(())
}

/// How many of so many rows go into the next statement: a power of two, so that there are few texts to prepare, and not
/// too many, so that they stay below the engines' limits of parameters.
fn part(rows: usize, most: usize) -> usize {
    1 << rows.min(most).ilog2()
}

/// Rows of few columns, as many at once as make one statement.
pub(crate) fn parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (first, rest) = (!rows.is_empty()).then(|| rows.split_at(part(rows.len(), 256)))?;
        rows = rest;
        Some(first)
    })
}

/// `($1, $2), ($3, $4)`: so many rows of so many columns.
pub(crate) fn tuples(rows: usize, columns: usize) -> String {
    let rows: Vec<_> = (0..rows).map(|row| format!("({})", places(row * columns, columns))).collect();
    rows.join(", ")
}

/// `$3, $4`: so many places after so many others.
fn places(before: usize, count: usize) -> String {
    let places: Vec<_> = (before + 1..=before + count).map(|n| format!("${n}")).collect();
    places.join(", ")
}
