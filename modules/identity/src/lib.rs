//! Operators and the tokens they sign in with.
//!
//! A token is 256 random bits. The database holds its SHA-256 only; whoever loses a token gets another one.

pub mod operators;

mod role;

use sdk::{
    kernel::Authenticated,
    prelude::*,
    store::sqlx::{self, Row, any::AnyRow},
};
use sha2::{Digest, Sha256};

pub use role::{Permissions, Role};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_122_000_300,
    name: "operators",
    sql: include_str!("../migrations/20261122_000300_operators.sql"),
}];

/// The module.
#[derive(Clone, Debug)]
pub struct Identity {
    store: Store,
    permissions: Permissions,
}

impl Module for Identity {
    const NAME: &'static str = "identity";
    const PRODUCT: &'static str = "chancery";
    type Error = IdentityError;
}

/// Why an operation on operators failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An operator has this name.
    #[error("an operator named `{0}` exists")]
    NameTaken(String),
    /// The caller is no operator.
    #[error("the caller is not an operator")]
    NotAnOperator,
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for IdentityError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Problem for IdentityError {
    fn code(&self) -> &'static str {
        match self {
            Self::NameTaken(_) => "name_taken",
            Self::NotAnOperator => "not_an_operator",
            Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::NameTaken(_) => Category::Conflict,
            Self::NotAnOperator => Category::Forbidden,
            Self::Store(_) => Category::Internal,
        }
    }
}

impl Identity {
    /// Over this database; roles are made of the permissions that the program's commands ask for.
    pub const fn new(store: Store, permissions: Permissions) -> Self {
        Self { store, permissions }
    }

    /// The principal that a token belongs to. A token nobody holds is no error.
    pub async fn authenticate(
        &self,
        ambient: &Ambient,
        token: &str,
    ) -> Result<Option<Principal>, IdentityError> {
        let row = sqlx::query("SELECT name, role, home FROM identity_operator WHERE token_hash = $1")
            .bind(hash(token))
            .fetch_optional(self.store.reader())
            .await?;
        row.map(|row| self.principal(&row, ambient)).transpose()
    }

    fn principal(&self, row: &AnyRow, ambient: &Ambient) -> Result<Principal, IdentityError> {
        let name: String = row.try_get("name")?;
        let role: Role = decoded(row, "role")?;
        let home = row.try_get::<Option<String>, _>("home")?.map(|_| decoded(row, "home")).transpose()?;
        Ok(Principal::Authenticated(
            Authenticated {
                id: format!("operator:{name}"),
                home: home.map(TenantId),
                permissions: self.permissions.of(role),
                aal: 1,
                // A bearer token authenticates each call anew.
                authenticated_at: ambient.now(),
            }
            .into(),
        ))
    }
}

fn decoded<T: std::str::FromStr>(row: &AnyRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<String, _>(column)?
        .parse()
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}
