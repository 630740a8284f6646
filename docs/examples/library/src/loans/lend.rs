//! `library.loans.lend`

use sdk::{prelude::*, store::sqlx};

use crate::{LOANS, LOANS_WRITE, Library, LibraryError, shelf};

/// Lend a book to a reader.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("library.loans.lend", Library -> ())]
#[access(permission = LOANS_WRITE)]
#[license(quotas = [LOANS])]
#[http(POST "/api/library/v1/loans")]
pub struct LendBook {
    /// Its title.
    pub title: String,
    /// Who takes it home.
    pub reader: String,
}

impl Handle<LendBook> for Library {
    async fn handle(&self, cx: &Cx, command: LendBook) -> Result<(), LibraryError> {
        let mut work = self.store.begin().await?;
        let lent = sqlx::query(
            "UPDATE library_book SET lent_to = $1 WHERE tenant = $2 AND title = $3 AND lent_to IS NULL",
        )
        .bind(command.reader)
        .bind(shelf(cx)?)
        .bind(&command.title)
        .execute(&mut *work)
        .await?;
        work.commit(cx).await?;
        if lent.rows_affected() == 0 { Err(LibraryError::NotThere(command.title)) } else { Ok(()) }
    }
}
