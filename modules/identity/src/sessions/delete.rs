//! `identity.sessions.delete`

use sdk::{prelude::*, store::sqlx};

use crate::{Identity, IdentityError, session::current};

/// Sign out: end the session that this call is made in.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.sessions.delete", Identity -> ())]
#[access(authenticated)]
#[license(none)]
#[http(DELETE "/api/identity/v1/sessions/current")]
pub struct DeleteSession {}

impl Handle<DeleteSession> for Identity {
    async fn handle(&self, cx: &Cx, _command: DeleteSession) -> Result<(), IdentityError> {
        let session = current(cx)?;
        let mut work = self.store.begin().await?;
        sqlx::query("DELETE FROM identity_session WHERE id = $1")
            .bind(session.to_string())
            .execute(&mut *work)
            .await?;
        work.commit(cx).await?;
        Ok(())
    }
}
