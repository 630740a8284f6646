//! `identity.operators.create`

use std::fmt;

use sdk::{prelude::*, store::sqlx};

use crate::{Identity, IdentityError, Role, hash};

/// Create an operator and its first token.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("identity.operators.create", Identity -> CreatedOperator)]
#[access(internal)]
#[license(internal_system)]
pub struct CreateOperator {
    /// How the audit will call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The tenant they belong to.
    pub home: Option<TenantId>,
}

/// An operator, with the token that is told once.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct CreatedOperator {
    /// The operator's name.
    pub name: String,
    /// The token; the database does not hold it.
    pub token: String,
}

impl fmt::Debug for CreatedOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreatedOperator({})", self.name)
    }
}

impl Handle<CreateOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: CreateOperator) -> Result<CreatedOperator, IdentityError> {
        let token = format!("chancery_{}", hex::encode(cx.ambient().bytes::<32>()));
        let mut work = self.store.begin().await?;
        let inserted = sqlx::query(
            "INSERT INTO identity_operator (id, name, role, home, token_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(cx.uuid().to_string())
        .bind(&command.name)
        .bind(command.role.as_str())
        .bind(command.home.map(|home| home.to_string()))
        .bind(hash(&token))
        .bind(cx.now().as_microsecond())
        .execute(&mut *work)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(IdentityError::NameTaken(command.name));
        }
        work.commit().await?;
        Ok(CreatedOperator { name: command.name, token })
    }
}
