//! `identity.tokens.create`

use jiff::{SignedDuration, Timestamp};
use sdk::{prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{
    Identity, IdentityError, Secret,
    operator::{caller, parse_display_name},
    session::{aal, current},
    token::PREFIX,
    told_once,
};

/// How many days a token is good where nothing is said.
const DAYS: u32 = 90;

/// Make a token by which scripts call as oneself. In a session only: no token makes another.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("identity.tokens.create", Identity -> CreatedToken)]
#[access(authenticated, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/tokens")]
pub struct CreateToken {
    /// What it is for, in words.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// How many days it is good: 1 to 365, 90 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 365))]
    pub days: Option<u32>,
}

/// A token, told once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedToken {
    /// By what it is revoked.
    pub id: Uuid,
    /// The token; the database does not hold it.
    pub token: Secret,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Handle<CreateToken> for Identity {
    async fn handle(&self, cx: &Cx, command: CreateToken) -> Result<CreatedToken, IdentityError> {
        told_once(cx)?;
        current(cx)?;
        let name = parse_display_name(&command.name)
            .ok()
            .filter(|name| name.chars().count() <= 100)
            .ok_or(IdentityError::InvalidTokenName)?;
        let mut work = self.store.begin().await?;
        let account = caller(&mut *work, cx).await?;
        if self.lacks_second_factor(account.shown.role, aal(cx)) {
            return Err(IdentityError::SecondFactorRequired);
        }
        let (id, token) = (cx.uuid(), Secret::random(cx.ambient(), PREFIX));
        let days = command.days.unwrap_or(DAYS).clamp(1, 365);
        let expires_at =
            cx.now().checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX);
        let expires_at = Timestamp::from_microsecond(expires_at.as_microsecond()).unwrap_or(expires_at);
        sqlx::query(
            "INSERT INTO identity_token (id, token_hash, operator, name, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id.to_string())
        .bind(token.hash())
        .bind(&account.id)
        .bind(name)
        .bind(cx.now().as_microsecond())
        .bind(expires_at.as_microsecond())
        .execute(&mut *work)
        .await?;
        work.commit(cx).await?;
        Ok(CreatedToken { id, token, expires_at })
    }
}
