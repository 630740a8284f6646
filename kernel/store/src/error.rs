use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// Why the database did not do what it was asked. No text carries the database password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A statement, a commit or waiting for a connection failed.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The address has the shape of none that we know. It is not repeated, because it may hold a password.
    #[error("the database address must start with `sqlite:` or `postgres:`")]
    Scheme,
    /// The address does not parse.
    #[error("the database address is malformed")]
    Url(#[source] sqlx::Error),
    /// The address names a database in memory, which would vanish with its connection, or has parameters.
    #[error("the address of a SQLite database is `sqlite://` and the path of a file, without parameters")]
    NoFile,
    /// The folder of the SQLite file does not exist.
    #[error("folder `{}` of database `{}` does not exist", folder.display(), file.display())]
    NoFolder {
        /// The missing folder.
        folder: PathBuf,
        /// The file that was to be opened in it.
        file: PathBuf,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {database}")]
    Open {
        /// The file in backticks, or that it is on a server.
        database: String,
        /// What went wrong.
        source: sqlx::Error,
    },
    /// Two modules brought a migration with the same version.
    #[error("migrations `{first}` and `{second}` both have version {version}")]
    DuplicateMigration {
        /// The version they share.
        version: i64,
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The database was migrated by a newer program, or by one with more modules.
    #[error("the database has migration {version}, which this program does not know")]
    SchemaNewer {
        /// The oldest applied version that this program does not know.
        version: i64,
    },
    /// A migration was edited after it had been applied.
    #[error("migration {version} `{name}` differs from the one that was applied")]
    MigrationChanged {
        /// Its version.
        version: i64,
        /// Its name.
        name: &'static str,
    },
    /// A migration cannot be applied; none was.
    #[error("migration {version} `{name}` failed")]
    Migration {
        /// Its version.
        version: i64,
        /// Its name.
        name: &'static str,
        /// What the database said.
        source: MigrateError,
    },
}

impl StoreError {
    /// Whether a row was refused because another one already holds its key.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Database(error.into())
    }
}
