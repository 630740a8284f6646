//! `library.loans.reserve`

use sdk::{prelude::*, store::sqlx};

use crate::{LOANS_WRITE, Library, LibraryError, RESERVATIONS, shelf};

/// Keep a book for a reader, for when it comes back.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("library.loans.reserve", Library -> ())]
#[access(permission = LOANS_WRITE)]
#[license(features = [RESERVATIONS])]
#[http(POST "/api/library/v1/reservations")]
pub struct ReserveBook {
    /// Its title.
    pub title: String,
    /// Who wants it next.
    pub reader: String,
}

impl Handle<ReserveBook> for Library {
    async fn handle(&self, cx: &Cx, command: ReserveBook) -> Result<(), LibraryError> {
        let mut work = self.store.begin().await?;
        let kept = sqlx::query("UPDATE library_book SET reserved_for = $1 WHERE tenant = $2 AND title = $3")
            .bind(command.reader)
            .bind(shelf(cx)?)
            .bind(&command.title)
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        if kept.rows_affected() == 0 { Err(LibraryError::NotThere(command.title)) } else { Ok(()) }
    }
}
