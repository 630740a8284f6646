//! Real databases for the tests: a fresh one per test, on either engine, gone afterwards.
//!
//! PostgreSQL comes from `DATABASE_URL` when that is set, else from a private cluster of this test process.
//! To share one cluster among many test processes, run them under `with-postgres`.
//!
//! A test that must hold on both engines is written once:
//!
//! ```
//! # use chancery_test_kit as kit;
//! kit::on_both_engines! {
//!     async fn an_address_names_its_engine(url: &str) {
//!         assert!(url.starts_with("sqlite://") || url.starts_with("postgres://"));
//!     }
//! }
//! ```

mod cluster;
mod dns;

use std::str::FromStr as _;
use std::sync::OnceLock;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

pub use cluster::Cluster;
pub use dns::NameServer;

/// A fresh, empty database of one test. It is removed on drop, so also when the test panics.
pub struct Database {
    url: String,
    home: Home,
}

enum Home {
    Folder { _removed_on_drop: TempDir },
    Server { name: String },
    Elsewhere,
}

impl Database {
    /// A SQLite file that does not exist yet, in a folder of its own.
    ///
    /// # Panics
    ///
    /// When the temporary directory is not writable.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("make a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self { url, home: Home::Folder { _removed_on_drop: folder } }
    }

    /// A database with a unique name on the PostgreSQL server of this test run.
    ///
    /// # Panics
    ///
    /// When there is no server to be had; the message says which package provides one.
    pub async fn postgres() -> Self {
        let server = server();
        let mut connection = server.connect().await.expect("connect to the PostgreSQL server of the tests");
        let name: String = sqlx::query_scalar("SELECT 'test_' || replace(gen_random_uuid()::text, '-', '')")
            .fetch_one(&mut connection)
            .await
            .expect("choose a database name");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .expect("create the database of the test");
        drop(connection.close().await);
        Self { url: server.database(&name).to_url_lossy().to_string(), home: Home::Server { name } }
    }

    /// Another empty one, on the same engine.
    pub async fn another(&self) -> Self {
        if self.url.starts_with("sqlite:") { Self::sqlite() } else { Self::postgres().await }
    }

    /// The one at this address, which whoever made it removes.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), home: Home::Elsewhere }
    }

    /// The address, as the product's `database.url` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Home::Server { name } = &self.home else { return };
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        // A drop cannot await, and may run on a thread that is already driving a runtime.
        let dropping = std::thread::spawn(move || {
            run(async {
                let mut connection = server().connect().await?;
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("a test database was left behind: {error}");
        }
    }
}

/// Runs one test body on a multi-threaded runtime; [`on_both_engines!`] calls it.
///
/// # Panics
///
/// When the runtime cannot be built, and whenever `test` does.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("build a runtime")
        .block_on(test)
}

/// Stamps each `async fn name(url: &str)` out as two tests, `name::on_sqlite` and `name::on_postgres`. Each gets the
/// address of a fresh, empty database.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($url:ident: &str) $body:block)+) => {$(
        $(#[$meta])*
        async fn $name($url: &str) $body

        mod $name {
            #[test]
            fn on_sqlite() {
                $crate::run(async { super::$name($crate::Database::sqlite().url()).await });
            }

            #[test]
            fn on_postgres() {
                $crate::run(async { super::$name($crate::Database::postgres().await.url()).await });
            }
        }
    )+};
}

fn server() -> PgConnectOptions {
    static SERVER: OnceLock<(PgConnectOptions, Option<Cluster>)> = OnceLock::new();
    let (options, _cluster) = SERVER.get_or_init(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test run is configured by the environment, not by a file"
        )]
        let given = std::env::var("DATABASE_URL").ok();
        let cluster = given.is_none().then(Cluster::start);
        let url = given.as_deref().or(cluster.as_ref().map(Cluster::url)).unwrap_or_default();
        (PgConnectOptions::from_str(url).expect("DATABASE_URL is a postgres:// address"), cluster)
    });
    options.clone()
}
