//! `identity.totp.enroll`

use sdk::{prelude::*, store::sqlx};

use crate::{Identity, IdentityError, Secret, codes, operator::caller, session::current, told_once};

/// Begin to set up a second factor. It counts once a code has confirmed it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.totp.enroll", Identity -> Enrolment)]
#[access(authenticated, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/totp")]
pub struct EnrollTotp {}

/// What the authenticator app takes. It is told once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// The shared secret, in base 32.
    pub secret: Secret,
    /// The same as a QR code's content.
    pub otpauth_uri: Secret,
    /// Codes for when the app is gone, each good once.
    pub recovery_codes: Vec<Secret>,
}

impl Handle<EnrollTotp> for Identity {
    async fn handle(&self, cx: &Cx, _command: EnrollTotp) -> Result<Enrolment, IdentityError> {
        told_once(cx)?;
        current(cx)?;
        let mut work = self.store.begin().await?;
        let account = caller(&mut *work, cx).await?;
        let shared = codes::secret(cx.ambient());
        let pending = sqlx::query(
            "UPDATE identity_operator SET totp_pending = $1 WHERE id = $2 AND totp_secret IS NULL",
        )
        .bind(self.keeping.put(codes::LABEL, &shared))
        .bind(&account.id)
        .execute(&mut *work)
        .await?;
        if pending.rows_affected() == 0 {
            return Err(IdentityError::SecondFactorExists);
        }
        let recovery_codes = codes::recovery_codes(cx.ambient());
        codes::forget_recovery_codes(&mut work, &account.id).await?;
        for code in &recovery_codes {
            sqlx::query("INSERT INTO identity_recovery_code (operator, code_hash) VALUES ($1, $2)")
                .bind(&account.id)
                .bind(code.hash())
                .execute(&mut *work)
                .await?;
        }
        work.commit(cx).await?;
        let secret = codes::base32(&shared);
        let issuer = if self.settings.issuer.is_empty() { "Chancery" } else { &self.settings.issuer };
        let otpauth_uri = codes::uri(issuer, &account.shown.name, &secret).into();
        Ok(Enrolment { secret: secret.into(), otpauth_uri, recovery_codes })
    }
}
