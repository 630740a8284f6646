//! `library.books.add`

use sdk::{prelude::*, store::sqlx};

use crate::{BOOKS_WRITE, Library, LibraryError, shelf};

/// Put a book on the shelf.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("library.books.add", Library -> ())]
#[access(permission = BOOKS_WRITE)]
#[license]
#[http(POST "/api/library/v1/books")]
pub struct AddBook {
    /// Its title.
    pub title: String,
}

impl Handle<AddBook> for Library {
    async fn handle(&self, cx: &Cx, command: AddBook) -> Result<(), LibraryError> {
        let mut work = self.store.begin().await?;
        let added =
            sqlx::query("INSERT INTO library_book (tenant, title) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(shelf(cx)?)
                .bind(&command.title)
                .execute(&mut *work)
                .await?;
        work.commit(cx).await?;
        if added.rows_affected() == 0 { Err(LibraryError::TitleTaken(command.title)) } else { Ok(()) }
    }
}
