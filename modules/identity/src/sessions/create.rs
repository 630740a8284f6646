//! `identity.sessions.create`

use sdk::{
    prelude::*,
    store::{Work, sqlx},
};

use crate::{
    Identity, IdentityError, Secret, SignedIn, codes,
    operator::{Account, OperatorStatus, find, normalized},
    session::Shown,
};

/// Sign in with a name, a password and, where one is set up, a code of the second factor.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.sessions.create", Identity -> SignedIn)]
#[access(public)]
#[license(none)]
#[http(POST "/api/identity/v1/sessions")]
pub struct CreateSession {
    /// The operator's name.
    #[schemars(length(max = 254))]
    pub name: String,
    /// Their password.
    pub password: Secret,
    /// The present code of their authenticator app, or a recovery code.
    #[serde(default)]
    pub code: Option<Secret>,
}

impl Handle<CreateSession> for Identity {
    async fn handle(&self, cx: &Cx, command: CreateSession) -> Result<SignedIn, IdentityError> {
        let CreateSession { name, password, code } = command;
        let name = normalized(&name);
        self.admit(cx, &name).await?;
        let account = find(self.store.reader(), &name).await?;
        if let Some(account) = &account {
            cx.recognize(&account.actor());
        }
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let checked = self.passwords.check(password.clone(), hash).await?;
        let active = account.filter(|account| account.shown.status == OperatorStatus::Active);
        let account = active.filter(|_| checked.matches).ok_or(IdentityError::InvalidCredentials)?;
        let renewed =
            if checked.outdated { self.passwords.hash(cx.ambient(), password).await.ok() } else { None };

        let mut work = self.store.begin().await?;
        self.still_holds(&mut work, &account, renewed).await?;
        let aal = match (&account.totp_secret, code) {
            (None, _) => 1,
            (Some(_), None) => return Err(IdentityError::SecondFactorRequired),
            (Some(_), Some(code)) => {
                if !self.spend_code(&mut work, cx, &account, &code).await? {
                    return Err(IdentityError::InvalidCredentials);
                }
                2
            }
        };
        let signed_in = self.open_session(&mut work, cx, &account, Shown { aal, at: cx.now() }).await?;
        work.commit(cx).await?;
        self.acquit(&name).await?;
        Ok(signed_in)
    }
}

impl Identity {
    /// Makes sure that what was checked still holds, and goes on to until this work ends; keeps a hash of newer parameters.
    async fn still_holds(
        &self,
        work: &mut Work,
        account: &Account,
        renewed: Option<String>,
    ) -> Result<(), IdentityError> {
        let held = sqlx::query(
            "UPDATE identity_operator SET password_hash = $1
             WHERE id = $2 AND password_hash = $3 AND status = $4",
        )
        .bind(renewed.as_ref().or(account.password_hash.as_ref()))
        .bind(&account.id)
        .bind(account.password_hash.as_ref())
        .bind(OperatorStatus::Active.as_str())
        .execute(&mut **work)
        .await?;
        if held.rows_affected() == 1 { Ok(()) } else { Err(IdentityError::InvalidCredentials) }
    }

    /// Whether this is a good code of the operator, which it is once.
    pub(crate) async fn spend_code(
        &self,
        work: &mut Work,
        cx: &Cx,
        account: &Account,
        code: &Secret,
    ) -> Result<bool, IdentityError> {
        if let Some(recovery) = codes::typed_recovery_code(code.expose()) {
            let spent =
                sqlx::query("DELETE FROM identity_recovery_code WHERE operator = $1 AND code_hash = $2")
                    .bind(&account.id)
                    .bind(recovery.hash())
                    .execute(&mut **work)
                    .await?;
            return Ok(spent.rows_affected() == 1);
        }
        let kept = account.totp_secret.as_ref();
        let secret = kept.and_then(|kept| self.keeping.take(codes::LABEL, kept));
        let Some(secret) = secret else {
            tracing::warn!(
                operator = account.shown.name,
                "a second factor cannot be read; recovery codes count"
            );
            return Ok(false);
        };
        let Some(step) = codes::step_of(&secret, code.expose(), cx.now(), account.totp_step) else {
            return Ok(false);
        };
        let spent =
            sqlx::query("UPDATE identity_operator SET totp_step = $1 WHERE id = $2 AND totp_step < $3")
                .bind(step)
                .bind(&account.id)
                .bind(step)
                .execute(&mut **work)
                .await?;
        Ok(spent.rows_affected() == 1)
    }
}
