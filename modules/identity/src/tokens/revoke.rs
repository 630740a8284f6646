//! `identity.tokens.revoke`

use sdk::{prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{Identity, IdentityError, operator::caller};

/// Take back one of the caller's own tokens.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.tokens.revoke", Identity -> ())]
#[access(authenticated)]
#[license(none)]
#[http(DELETE "/api/identity/v1/tokens/{id}")]
pub struct RevokeToken {
    /// The token's id.
    pub id: Uuid,
}

impl Handle<RevokeToken> for Identity {
    async fn handle(&self, cx: &Cx, command: RevokeToken) -> Result<(), IdentityError> {
        let mut work = self.store.begin().await?;
        let account = caller(&mut *work, cx).await?;
        let revoked = sqlx::query("DELETE FROM identity_token WHERE id = $1 AND operator = $2")
            .bind(command.id.to_string())
            .bind(&account.id)
            .execute(&mut *work)
            .await?;
        if revoked.rows_affected() == 0 {
            return Err(IdentityError::NoSuchToken);
        }
        work.commit(cx).await?;
        Ok(())
    }
}
