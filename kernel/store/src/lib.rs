//! One database handle for SQLite and PostgreSQL.
//!
//! Modules write plain SQL with [`sqlx`] beside the code that needs it; this room gives them a connection, a unit of
//! work and a place for their migrations, and nothing else.
//!
//! **One SQL text.** Placeholders are `$1`, columns are `BIGINT` and `TEXT`; instants are microseconds since 1970.
//! A `sum()` or `count()` is cast to `BIGINT`, because PostgreSQL makes the first a `NUMERIC`.
//!
//! **Writes go through [`Store::begin`].** A SQLite file has exactly one writer here, so a write never fails because
//! of another one in this process; other processes are waited for. [`Store::reader`] cannot write there. A [`Lane`] is
//! for the hottest path only.
//!
//! **Every commit names its [`Cause`]:** a call, by its `&Cx`, or the program's own upkeep.
//!
//! ```no_run
//! # use chancery_store as store;
//! # async fn example() -> Result<(), store::StoreError> {
//! use store::{Cause, Options, Store, sqlx};
//!
//! let store = Store::open("sqlite:///var/lib/chancery/chancery.db", Options::default()).await?;
//! let mut work = store.begin().await?;
//! sqlx::query("INSERT INTO note (text) VALUES ($1)").bind("hello").execute(&mut *work).await?;
//! work.commit(Cause::Upkeep).await?;
//! let notes: i64 = sqlx::query_scalar("SELECT count(*) FROM note").fetch_one(store.reader()).await?;
//! # Ok(())
//! # }
//! ```

mod cause;
mod error;
mod lane;
mod migration;
mod open_call;
mod schema;

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _,
    Transaction,
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use schema::Schema;

pub use cause::Cause;
pub use error::StoreError;
pub use lane::{Durability, Lane};
pub use migration::Migration;
pub use open_call::OpenCall;
pub use sqlx;

/// The handle. Clones share the same connections.
#[derive(Debug, Clone)]
pub struct Store {
    engine: Engine,
    writer: AnyPool,
    reader: AnyPool,
    schema: Arc<Schema>,
    /// What a [`Lane`] connects to, and, on SQLite, what makes a connection a writer.
    address: AnyConnectOptions,
    writing: Arc<str>,
    patience: Duration,
    /// Whose turn it is to write to a SQLite file: whoever waited longest, which the lock of a file does not care for.
    turn: Arc<Mutex<()>>,
}

/// Which database answers. Only statements on hot paths may care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file, embedded: WAL, durable commits, foreign keys enforced.
    Sqlite,
    /// A server, version 13 or later.
    Postgres,
}

/// How the connections are kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Connections to PostgreSQL, or readers of the SQLite file.
    pub connections: u32,
    /// How long a caller waits for a connection, for SQLite's one writer, or for a lock on its file.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 8, patience: Duration::from_secs(10) }
    }
}

impl Options {
    fn pool(self, schema: &Arc<Schema>) -> AnyPoolOptions {
        let schema = Arc::clone(schema);
        AnyPoolOptions::new()
            .acquire_timeout(self.patience)
            // A ping per acquisition costs a third of the throughput; a dead connection shows itself on first use.
            .test_before_acquire(false)
            // A commit that failed for want of disk space ends the transaction without telling sqlx, which would then refuse
            // to begin another one on that connection for ever.
            .before_acquire(move |connection, made| {
                let fits = schema.fits(made.age);
                Box::pin(async move { Ok(fits && !connection.is_in_transaction()) })
            })
    }
}

impl Store {
    /// Connects to `sqlite:///absolute/path`, `sqlite:relative/path` (the path as it is: no parameters, no escapes)
    /// or `postgres://user:password@host/name`.
    ///
    /// A missing SQLite file is created, its folder is not. No error carries the password.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                Self::open_sqlite(path.strip_prefix("//").unwrap_or(path), options).await
            }
            Some(("postgres" | "postgresql", _)) => Self::open_postgres(url, options).await,
            _ => Err(StoreError::Scheme),
        }
    }

    async fn open_sqlite(path: &str, options: Options) -> Result<Self, StoreError> {
        if path.is_empty() || path == ":memory:" || path.contains('?') {
            return Err(StoreError::NoFile);
        }
        let file = std::path::absolute(path).map_err(|source| StoreError::Url(source.into()))?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        if !folder.is_dir() {
            return Err(StoreError::NoFolder { folder, file });
        }
        // sqlx escapes the path for its URL, all but the escape character.
        let escaped = file.display().to_string().replace('%', "%25");
        let address = SqliteConnectOptions::new().filename(escaped).create_if_missing(true).to_url_lossy();
        let address = AnyConnectOptions::from_url(&address).map_err(StoreError::Url)?;

        let wait = format!("PRAGMA busy_timeout = {};", options.patience.as_millis());
        let writing: Arc<str> =
            format!("{wait} PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
                .into();
        let reading: Arc<str> = format!("{wait} PRAGMA query_only = ON;").into();
        let opened = first_connection(&address, &writing, options.patience).await;
        opened.map_err(|source| StoreError::Open { database: format!("`{}`", file.display()), source })?;

        let schema = Arc::<Schema>::default();
        let pool = |connections, pragmas: Arc<str>| {
            options.pool(&schema).max_connections(connections).after_connect(move |connection, _| {
                let pragmas = AssertSqlSafe(pragmas.to_string());
                Box::pin(async move { connection.execute(pragmas).await.map(drop) })
            })
        };
        let writer = pool(1, Arc::clone(&writing)).connect_lazy_with(address.clone());
        let reader = pool(options.connections, reading).connect_lazy_with(address.clone());
        let (patience, turn) = (options.patience, Arc::default());
        Ok(Self { engine: Engine::Sqlite, writer, reader, schema, address, writing, patience, turn })
    }

    async fn open_postgres(url: &str, options: Options) -> Result<Self, StoreError> {
        let address = AnyConnectOptions::from_str(url).map_err(StoreError::Url)?;
        let opened = first_connection(&address, "SELECT 1", options.patience).await;
        opened
            .map_err(|source| StoreError::Open { database: "on the PostgreSQL server".to_owned(), source })?;
        let schema = Arc::<Schema>::default();
        let pool = options.pool(&schema).max_connections(options.connections);
        let pool = pool.connect_lazy_with(address.clone());
        let (writing, patience, turn) = ("".into(), options.patience, Arc::default());
        let (engine, writer) = (Engine::Postgres, pool.clone());
        Ok(Self { engine, writer, reader: pool, schema, address, writing, patience, turn })
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Starts a unit of work: a write transaction, read committed or stronger.
    ///
    /// On SQLite it holds the only writer until it ends: a second `begin` inside it waits for itself, and fails after
    /// [`Options::patience`].
    pub async fn begin(&self) -> Result<Work, StoreError> {
        let turn = self.turn_to_write().await?;
        let transaction = match self.engine {
            // Taking the write lock first means waiting for it; upgrading a reader's lock can only fail.
            Engine::Sqlite => self.writer.begin_with("PRAGMA synchronous = FULL; BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.writer.begin().await?,
        };
        Ok(Work { transaction, _turn: turn })
    }

    /// Starts a unit of work that a crash of the machine (on PostgreSQL: of the server) may undo after it was
    /// committed. It is as atomic as any other, seen by everyone from its commit on, and never undone unless all that
    /// was committed after it is undone too. It costs no flush to disk.
    pub async fn begin_relaxed(&self) -> Result<Work, StoreError> {
        let begin = match self.engine {
            Engine::Sqlite => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; SET LOCAL synchronous_commit = off",
        };
        let turn = self.turn_to_write().await?;
        Ok(Work { transaction: self.writer.begin_with(begin).await?, _turn: turn })
    }

    async fn turn_to_write(&self) -> Result<Option<OwnedMutexGuard<()>>, StoreError> {
        if self.engine == Engine::Postgres {
            return Ok(None);
        }
        let turn = timeout(self.patience, Arc::clone(&self.turn).lock_owned()).await;
        Ok(Some(turn.map_err(|_| sqlx::Error::PoolTimedOut)?))
    }

    /// An executor for reads: `sqlx::query(…).fetch_all(store.reader())`. Each statement sees what was committed before.
    pub fn reader(&self) -> &AnyPool {
        &self.reader
    }

    /// Asks the database for an answer; the health check.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Waits for running work and closes all connections of all clones. That of a [`Lane`] goes with its owner.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Connects once, outside the pool: a pool would retry in silence and answer that it ran out of patience.
async fn first_connection(
    address: &AnyConnectOptions,
    greeting: &str,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    let greeted = timeout(patience, async {
        let mut connection = address.connect().await?;
        connection.execute(AssertSqlSafe(greeting)).await?;
        connection.close().await
    });
    greeted.await.unwrap_or_else(|_| Err(out_of_patience()))
}

fn out_of_patience() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

/// A unit of work: what is done through it happens together, or, dropped without [`commit`](Self::commit), not at all.
///
/// `&mut *work` is the executor.
#[derive(Debug)]
#[must_use = "a unit of work that is dropped rolls back"]
pub struct Work {
    transaction: Transaction<'static, Any>,
    /// Given up after the transaction.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Work {
    /// Makes everything done here durable and visible. What was done for a call that may change something says so in the
    /// same transaction: see [`OpenCall`].
    pub async fn commit(mut self, cause: impl Into<Cause<'_>>) -> Result<(), StoreError> {
        if let Cause::Call(cx) = cause.into()
            && let Some(call) = cx.call()
        {
            // Said before it is so: of a commit that nobody waits for any more it is not known when it happens.
            call.mark();
            open_call::open(&mut self.transaction, cx, call).await?;
        }
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Work {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}
