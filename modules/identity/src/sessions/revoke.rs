//! `identity.sessions.revoke`

use sdk::{prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{Identity, IdentityError, operator::caller};

/// End one of the caller's own sessions.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.sessions.revoke", Identity -> ())]
#[access(authenticated)]
#[license(none)]
#[http(DELETE "/api/identity/v1/sessions/{id}")]
pub struct RevokeSession {
    /// The session.
    pub id: Uuid,
}

impl Handle<RevokeSession> for Identity {
    async fn handle(&self, cx: &Cx, command: RevokeSession) -> Result<(), IdentityError> {
        let mut work = self.store.begin().await?;
        let account = caller(&mut *work, cx).await?;
        let ended = sqlx::query("DELETE FROM identity_session WHERE id = $1 AND operator = $2")
            .bind(command.id.to_string())
            .bind(&account.id)
            .execute(&mut *work)
            .await?;
        if ended.rows_affected() == 0 {
            return Err(IdentityError::NoSuchSession);
        }
        work.commit(cx).await?;
        Ok(())
    }
}
