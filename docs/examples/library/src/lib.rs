//! A lending library: three commands, a table, a feature and a quota.

pub mod books;
pub mod loans;

use sdk::{prelude::*, store::sqlx};

sdk::catalog!("../catalog.toml");

/// Add books.
pub const BOOKS_WRITE: Permission = Permission::new("library.books.write");
/// Lend and reserve them.
pub const LOANS_WRITE: Permission = Permission::new("library.loans.write");
/// Reservations of books that are lent.
pub const RESERVATIONS: FeatureKey<'_> = FeatureKey::literal("library.reservations.v1");
/// Loans.
pub const LOANS: Quota<'_> = Quota::metered("library.loans.max");

/// The module.
#[derive(Debug)]
pub struct Library {
    store: Store,
}

impl Module for Library {
    const NAME: &'static str = "library";
    const PRODUCT: &'static str = "library";
    type Error = LibraryError;
}

impl Addition for Library {
    const MIGRATIONS: &'static [Migration] = &[Migration {
        version: 20_261_124_120_000,
        name: "books",
        sql: include_str!("../migrations/20261124_120000_books.sql"),
    }];

    fn new(store: Store, _line: Line) -> Self {
        Self { store }
    }
}

/// Why the library cannot do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The call is for no tenant.
    #[error("a library belongs to a tenant: name one")]
    NoTenant,
    /// The shelf has a book of this title.
    #[error("there is a book `{0}`")]
    TitleTaken(String),
    /// There is no such book, or somebody has it.
    #[error("the book `{0}` is not there")]
    NotThere(String),
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LibraryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Problem for LibraryError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoTenant => "no_tenant",
            Self::TitleTaken(_) => "title_taken",
            Self::NotThere(_) => "not_there",
            Self::Store(_) => "internal",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::NoTenant => Category::Validation,
            Self::TitleTaken(_) => Category::Conflict,
            Self::NotThere(_) => Category::NotFound,
            Self::Store(_) => Category::Internal,
        }
    }
}

/// Whose shelf a call is about.
fn shelf(cx: &Cx) -> Result<String, LibraryError> {
    cx.tenant().map(|tenant| tenant.to_string()).ok_or(LibraryError::NoTenant)
}
