//! What these tests share.

use std::time::Duration;

use chancery_audit::{
    AuditLog, Broken, Defect, Event, MIGRATIONS, Metadata, Outcome, Range, SafeValue, Seal, Sink as _,
    SqlSink,
};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use store::sqlx::{self, AssertSqlSafe};
use store::{Cause, Engine, Options, Store};
use uuid::Uuid;

pub(crate) const NOON: Timestamp = Timestamp::constant(1_900_000_000, 123_456_000);

/// A key that whoever owns the database does not know.
pub(crate) struct Key(pub(crate) &'static str);

impl Key {
    fn proof(&self, label: &str, content: &str) -> String {
        hex::encode(Sha256::digest(format!("{}|{label}|{content}", self.0)))
    }
}

impl Seal for Key {
    fn protect(&self, label: &str, content: &str) -> String {
        format!("{}.{content}", self.proof(label, content))
    }

    fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str> {
        let (proof, content) = note.split_once('.')?;
        (proof == self.proof(label, content)).then_some(content)
    }
}

pub(crate) async fn open(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    store
}

pub(crate) fn log(store: &Store) -> AuditLog {
    AuditLog::new(store.clone()).sealed_by(Key("ours"))
}

/// The n-th event of a tenant, or of the platform.
pub(crate) fn event(tenant: Option<&str>, n: u32) -> Event {
    let seed = Sha256::digest(tenant.unwrap_or_default());
    let seed = seed.iter().take(12).fold(0, |seed, byte| seed << 8 | u128::from(*byte));
    Event {
        id: Uuid::from_u128(seed << 32 | u128::from(n)),
        name: "license.command.denied".into(),
        time: NOON + SignedDuration::from_secs(i64::from(n)),
        tenant: tenant.map(str::to_owned),
        actor: "ada".to_owned(),
        command: Some("tenancy.tenants.create".into()),
        result: Outcome::PolicyDenied,
        error_code: Some("NOT_ENTITLED".into()),
        duration: Some(Duration::from_micros(u64::from(n))),
        correlation_id: Some("c-1".to_owned()),
        trace_id: Some(format!("{n:032x}")),
        span_id: Some("00f067aa0ba902b7".to_owned()),
        metadata: Metadata::new().with("n", i64::from(n).into()).with("why", SafeValue::text("because")),
        closes_call: false,
    }
}

/// Events 1 to `count` of each of these.
pub(crate) async fn fill(store: &Store, tenants: &[Option<&str>], count: u32) {
    let events: Vec<_> =
        (1..=count).flat_map(|n| tenants.iter().map(move |tenant| event(*tenant, n))).collect();
    write(store, &events).await;
}

pub(crate) async fn write(store: &Store, events: &[Event]) {
    SqlSink::new(store.clone()).write(events).await.unwrap();
}

/// What whoever owns the database can do.
pub(crate) async fn attack(store: &Store, statements: &[impl AsRef<str>]) {
    let mut work = store.begin().await.unwrap();
    for statement in statements {
        let sql = statement.as_ref();
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *work).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    work.commit(Cause::Upkeep).await.unwrap();
}

/// So that attacks do what they say.
pub(crate) async fn disarm(store: &Store) {
    match store.engine() {
        Engine::Postgres => {
            let tables = ["audit_event", "audit_checkpoint", "audit_pruned"];
            attack(store, &tables.map(|table| format!("ALTER TABLE {table} DISABLE TRIGGER ALL"))).await;
        }
        Engine::Sqlite => {
            let triggers: Vec<String> =
                sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                    .fetch_all(store.reader())
                    .await
                    .unwrap();
            assert!(!triggers.is_empty());
            let drops: Vec<_> = triggers.iter().map(|name| format!("DROP TRIGGER {name}")).collect();
            attack(store, &drops).await;
        }
    }
}

pub(crate) fn broken(tenant: &str, sequence: u64, defect: Defect) -> (String, u64, Defect) {
    (format!("tenant:{tenant}"), sequence, defect)
}

pub(crate) fn found(broken: Vec<Broken>) -> Vec<(String, u64, Defect)> {
    let place = |found: Broken| (found.scope.unwrap_or_default(), found.sequence, found.defect);
    broken.into_iter().map(place).collect()
}

pub(crate) async fn defects(log: &AuditLog) -> Vec<(String, u64, Defect)> {
    found(log.verify(&Range::default(), &[]).await.unwrap().broken)
}
