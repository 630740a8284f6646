use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::OnceLock;

use store::sqlx::{self, AnyConnection, AssertSqlSafe};
use store::{Cause, Migration, OpenCall, Store, StoreError};

use crate::chain::{COLUMNS, Head, Record, WIDTH, stored};
use crate::heads::{self, Heads, Remembered};
use crate::{Event, Scope, Sink, SinkError};

/// The tables of [`SqlSink`], [`AuditLog`](crate::AuditLog) and [`Consumer`](crate::Consumer).
///
/// Events, checkpoints and notes of pruning are only ever added. Events go only where a sealed note says that the chain
/// up to there is proved. `REPLACE` of SQLite deletes without asking the trigger for deletes, so inserts have one too.
pub const MIGRATIONS: &[Migration] = &[TABLES, heads::MIGRATION];

const TABLES: Migration = Migration {
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
};

/// Keeps events in the database, each linked to the one before in its scope: one transaction per batch, and a handful of
/// statements, however many scopes it touches.
///
/// Any number of sinks, in any number of processes, may write at once. Two of them wait for each other only where their
/// batches share a scope; on SQLite, which has one writer, always.
#[derive(Debug)]
pub struct SqlSink {
    store: Store,
    remembered: Remembered,
}

impl SqlSink {
    /// Uses the tables of [`MIGRATIONS`].
    pub fn new(store: Store) -> Self {
        Self { store, remembered: Remembered::default() }
    }
}

impl Sink for SqlSink {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        match append(&self.store, &mut self.remembered, events, Repeats::Unlikely).await {
            // Most likely the key of an event that is there already.
            Err(StoreError::Database(sqlx::Error::Database(_))) => {
                append(&self.store, &mut self.remembered, events, Repeats::Likely).await?;
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
    remembered: &mut Remembered,
    events: &[Event],
    repeats: Repeats,
) -> Result<HashSet<String>, StoreError> {
    let mut seen = HashSet::with_capacity(events.len());
    let mut records = Vec::with_capacity(events.len());
    for event in events.iter().filter(|event| seen.insert(event.id)) {
        let record = Record::of(event).map_err(|error| sqlx::Error::Encode(error.into()))?;
        records.push((Scope::of(event).key(), record));
    }
    let mut there = HashSet::new();
    if records.is_empty() {
        return Ok(there);
    }
    let closed: Vec<_> = events.iter().filter(|event| event.closes_call).map(|event| event.id).collect();
    let scopes: Vec<_> = records.iter().map(|(scope, _)| scope.clone()).collect();
    let scopes = scopes.iter().map(Cow::as_ref).collect();
    let mut known = (repeats == Repeats::Unlikely).then(|| remembered.heads(&scopes)).flatten();
    loop {
        let (mut work, from) = match known.take() {
            Some(heads) => (store.begin().await?, heads),
            None => heads::hold(store, &scopes).await?,
        };
        if repeats == Repeats::Likely {
            there = recorded(&mut work, &records).await?;
            records.retain(|(_, record)| !there.contains(&record.event_id));
        }
        let mut to = from.clone();
        let places = link(&records, &mut to);
        // What is held is where it was found to be.
        if heads::advance(&mut work, store.engine(), &from, &to).await? {
            OpenCall::close(&mut work, &closed).await?;
            insert(&mut work, records, places).await?;
            work.commit(Cause::Upkeep).await?;
            remembered.keep(&to);
            return Ok(there);
        }
    }
}

/// The places of these records, one after the other, in the chains that have these heads; moves the heads.
fn link(records: &[(Cow<'static, str>, Record)], heads: &mut Heads<'_>) -> Vec<Head> {
    let place = |(scope, record): &(Cow<'static, str>, Record)| {
        let head = heads.get_mut(scope.as_ref())?;
        *head = head.next(scope, record);
        Some(*head)
    };
    records.iter().filter_map(place).collect()
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

async fn insert(
    connection: &mut AnyConnection,
    records: Vec<(Cow<'static, str>, Record)>,
    places: Vec<Head>,
) -> Result<(), sqlx::Error> {
    let mut rows = records.into_iter().zip(places);
    while rows.len() > 0 {
        let part = part(rows.len(), 64);
        let mut query = sqlx::query(AssertSqlSafe(inserting(part)));
        for ((scope, record), place) in rows.by_ref().take(part) {
            query = query
                .bind(stored(place.sequence))
                .bind(place.hash.to_string())
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
                .bind(scope.into_owned());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// The statement for one of these numbers of rows. It is long, and written once.
fn inserting(rows: usize) -> &'static str {
    static TEXTS: [OnceLock<String>; 7] = [const { OnceLock::new() }; 7];
    TEXTS[rows.ilog2() as usize]
        .get_or_init(|| format!("INSERT INTO audit_event ({COLUMNS}) VALUES {}", tuples(rows, WIDTH)))
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
