//! Sessions: a token of 256 random bits for a while, bound to the tenant its operator belonged to when it began.

use std::{collections::BTreeSet, time::Duration};

use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sdk::{
    kernel::Authenticated,
    prelude::*,
    store::{
        Work,
        sqlx::{self, Row as _},
    },
};
use sha2::Sha256;
use uuid::Uuid;

use crate::{
    Identity, IdentityError, Role, Secret,
    operator::{Account, OperatorStatus, actor, instant},
    secret::hash,
};

/// A session that has begun. Its tokens are told once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// The value of the session cookie.
    pub session_token: Secret,
    /// What calls by that cookie carry in `x-csrf-token`.
    pub csrf_token: Secret,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// A second factor has to be set up before anything else can be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_factor_required: bool,
}

/// The anti-forgery token of a session. Only who knows the session's token can make it.
pub fn csrf_token(session_token: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(session_token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"chancery csrf token, version 1");
    hex::encode(mac.finalize().into_bytes())
}

/// How a session came to be.
pub(crate) struct Shown {
    pub(crate) aal: u8,
    pub(crate) at: Timestamp,
}

/// How often a session that is used is written down.
const SEEN: SignedDuration = SignedDuration::from_secs(30);

impl Identity {
    /// Begins a session.
    pub(crate) async fn open_session(
        &self,
        work: &mut Work,
        cx: &Cx,
        account: &Account,
        shown: Shown,
    ) -> Result<SignedIn, IdentityError> {
        let (now, token) = (cx.now(), Secret::random(cx.ambient(), ""));
        let expires_at = now.checked_add(self.settings.session.absolute).unwrap_or(Timestamp::MAX);
        let expires_at = Timestamp::from_microsecond(expires_at.as_microsecond()).unwrap_or(expires_at);
        sqlx::query(
            "INSERT INTO identity_session
                 (id, token_hash, operator, home, aal, authenticated_at, seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(cx.uuid().to_string())
        .bind(token.hash())
        .bind(&account.id)
        .bind(account.shown.home.to_string())
        .bind(i64::from(shown.aal))
        .bind(shown.at.as_microsecond())
        .bind(now.as_microsecond())
        .bind(expires_at.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(SignedIn {
            csrf_token: csrf_token(token.expose()).into(),
            session_token: token,
            expires_at,
            second_factor_required: self.lacks_second_factor(account.shown.role, shown.aal),
        })
    }

    /// Ends every session of an operator.
    pub(crate) async fn end_sessions(&self, work: &mut Work, account: &Account) -> Result<(), IdentityError> {
        sqlx::query("DELETE FROM identity_session WHERE operator = $1")
            .bind(&account.id)
            .execute(&mut **work)
            .await?;
        Ok(())
    }

    pub(crate) fn lacks_second_factor(&self, role: Role, aal: u8) -> bool {
        self.settings.require_second_factor && role == Role::PlatformAdmin && aal < 2
    }

    /// The principal of a session. One that has ended, or whose operator is not what they were, is nobody's.
    pub(crate) async fn of_session(
        &self,
        ambient: &Ambient,
        token: &str,
    ) -> Result<Option<Principal>, IdentityError> {
        let row = sqlx::query(
            "SELECT s.id AS session, s.aal, s.authenticated_at, s.seen_at, s.expires_at, o.name, o.role, o.home
             FROM identity_session s JOIN identity_operator o ON o.id = s.operator AND o.home = s.home
             WHERE s.token_hash = $1 AND o.status = $2",
        )
        .bind(hash(token))
        .bind(OperatorStatus::Active.as_str())
        .fetch_optional(self.store.reader())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (now, seen_at) = (ambient.now(), instant(&row, "seen_at")?);
        let idle = now.duration_since(seen_at);
        if now >= instant(&row, "expires_at")? || idle >= self.settings.session.idle {
            return Ok(None);
        }
        let session: Uuid = crate::decoded(&row, "session")?;
        if idle >= SEEN.min(self.settings.session.idle / 4) {
            self.seen(session, now).await?;
        }
        let role: Role = crate::decoded(&row, "role")?;
        let aal = u8::try_from(row.try_get::<i64, _>("aal")?).unwrap_or(1);
        let permissions =
            if self.lacks_second_factor(role, aal) { BTreeSet::new() } else { self.permissions.of(role) };
        Ok(Some(Principal::Authenticated(
            Authenticated {
                id: actor(&row.try_get::<String, _>("name")?),
                home: Some(TenantId(crate::decoded(&row, "home")?)),
                permissions,
                aal,
                authenticated_at: instant(&row, "authenticated_at")?,
                session: Some(session),
            }
            .into(),
        )))
    }

    async fn seen(&self, session: Uuid, now: Timestamp) -> Result<(), IdentityError> {
        let mut work = self.store.begin_relaxed().await?;
        sqlx::query("UPDATE identity_session SET seen_at = $1 WHERE id = $2 AND seen_at < $3")
            .bind(now.as_microsecond())
            .bind(session.to_string())
            .bind(now.as_microsecond())
            .execute(&mut *work)
            .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(())
    }

    /// How long a session lasts at most, for its cookie.
    pub fn session_lifetime(&self) -> Duration {
        self.settings.session.absolute.try_into().unwrap_or_default()
    }
}

/// The session the caller calls in.
pub(crate) fn current(cx: &Cx) -> Result<Uuid, IdentityError> {
    match cx.principal() {
        Principal::Authenticated(who) => who.session.ok_or(IdentityError::SessionRequired),
        Principal::Anonymous | Principal::System => Err(IdentityError::SessionRequired),
    }
}

/// With how many factors the caller has shown who they are.
pub(crate) fn aal(cx: &Cx) -> u8 {
    match cx.principal() {
        Principal::Authenticated(who) => who.aal,
        Principal::Anonymous | Principal::System => 1,
    }
}

/// When they did.
pub(crate) fn authenticated_at(cx: &Cx) -> Timestamp {
    match cx.principal() {
        Principal::Authenticated(who) => who.authenticated_at,
        Principal::Anonymous | Principal::System => cx.now(),
    }
}
