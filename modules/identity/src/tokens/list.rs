//! `identity.tokens.list`

use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _, any::AnyRow},
};
use uuid::Uuid;

use crate::{
    Identity, IdentityError, decoded,
    operator::{caller, instant},
};

/// List the caller's own tokens, the latest first.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.tokens.list", Identity -> Tokens)]
#[access(authenticated)]
#[license(none)]
#[http(GET "/api/identity/v1/tokens")]
pub struct ListTokens {}

/// The caller's tokens.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// The latest first.
    pub tokens: Vec<Token>,
}

/// One of them, without the token itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// By what it is revoked.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Handle<ListTokens> for Identity {
    async fn handle(&self, cx: &Cx, _command: ListTokens) -> Result<Tokens, IdentityError> {
        let account = caller(self.store.reader(), cx).await?;
        let rows = sqlx::query(
            "SELECT * FROM identity_token WHERE operator = $1 AND expires_at > $2
             ORDER BY created_at DESC, id DESC",
        )
        .bind(&account.id)
        .bind(cx.now().as_microsecond())
        .fetch_all(self.store.reader())
        .await?;
        let read = |row: &AnyRow| {
            Ok(Token {
                id: decoded(row, "id")?,
                name: row.try_get("name")?,
                created_at: instant(row, "created_at")?,
                expires_at: instant(row, "expires_at")?,
            })
        };
        let tokens = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
        Ok(Tokens { tokens })
    }
}
