use sdk::{
    kernel::Authenticated,
    prelude::*,
    store::sqlx::{self, Row as _},
};

use crate::{
    Identity, IdentityError, Role,
    operator::{OperatorStatus, actor},
    secret::hash,
};

/// What tokens for scripts begin with, so that one that leaked is recognised.
pub(crate) const PREFIX: &str = "chancery_";

impl Identity {
    /// The principal of a token.
    pub(crate) async fn of_token(
        &self,
        ambient: &Ambient,
        token: &str,
    ) -> Result<Option<Principal>, IdentityError> {
        let now = ambient.now();
        let row = sqlx::query(
            "SELECT o.name, o.role, o.home
             FROM identity_token t JOIN identity_operator o ON o.id = t.operator
             WHERE t.token_hash = $1 AND t.expires_at > $2 AND o.status = $3",
        )
        .bind(hash(token))
        .bind(now.as_microsecond())
        .bind(OperatorStatus::Active.as_str())
        .fetch_optional(self.store.reader())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let role: Role = crate::decoded(&row, "role")?;
        Ok(Some(Principal::Authenticated(
            Authenticated {
                id: actor(&row.try_get::<String, _>("name")?),
                home: Some(TenantId(crate::decoded(&row, "home")?)),
                permissions: self.permissions.of(role),
                aal: 1,
                // A token authenticates each call anew.
                authenticated_at: now,
                session: None,
            }
            .into(),
        )))
    }
}
