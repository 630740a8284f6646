//! `identity.sessions.list`

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

/// List the caller's own sessions, the latest first.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.sessions.list", Identity -> Sessions)]
#[access(authenticated)]
#[license(none)]
#[http(GET "/api/identity/v1/sessions")]
pub struct ListSessions {}

/// The caller's sessions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Sessions {
    /// The latest first.
    pub sessions: Vec<Session>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// Whether this call is made in it.
    pub current: bool,
    /// With how many factors it began.
    pub aal: u8,
    /// When it began.
    pub authenticated_at: Timestamp,
    /// When it was last used, to about half a minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl Handle<ListSessions> for Identity {
    async fn handle(&self, cx: &Cx, _command: ListSessions) -> Result<Sessions, IdentityError> {
        let account = caller(self.store.reader(), cx).await?;
        let now = cx.now();
        let seen_after = now.checked_sub(self.settings.session.idle).unwrap_or(Timestamp::MIN);
        let rows = sqlx::query(
            "SELECT * FROM identity_session
             WHERE operator = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY authenticated_at DESC, id DESC",
        )
        .bind(&account.id)
        .bind(now.as_microsecond())
        .bind(seen_after.as_microsecond())
        .fetch_all(self.store.reader())
        .await?;
        let current = crate::session::current(cx).ok();
        let read = |row: &AnyRow| {
            let id: Uuid = decoded(row, "id")?;
            Ok(Session {
                id,
                current: current == Some(id),
                aal: u8::try_from(row.try_get::<i64, _>("aal")?).unwrap_or(1),
                authenticated_at: instant(row, "authenticated_at")?,
                seen_at: instant(row, "seen_at")?,
                expires_at: instant(row, "expires_at")?,
            })
        };
        let sessions = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
        Ok(Sessions { sessions })
    }
}
