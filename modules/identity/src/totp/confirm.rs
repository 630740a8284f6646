//! `identity.totp.confirm`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, Secret, SignedIn, codes,
    operator::caller,
    session::{Shown, authenticated_at, current},
    told_once,
};

/// Confirm a second factor by a code of the app. Every session ends, and another begins for the caller, with two factors.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.totp.confirm", Identity -> SignedIn)]
#[access(authenticated, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/totp/confirm")]
pub struct ConfirmTotp {
    /// The app's present code.
    pub code: Secret,
}

impl Handle<ConfirmTotp> for Identity {
    async fn handle(&self, cx: &Cx, command: ConfirmTotp) -> Result<SignedIn, IdentityError> {
        told_once(cx)?;
        current(cx)?;
        let account = caller(self.store.reader(), cx).await?;
        self.admit(cx, &account.shown.name).await?;
        let pending = account.totp_pending.as_ref().ok_or(IdentityError::NoSecondFactor)?;
        let secret = self.keeping.take(codes::LABEL, pending).ok_or(IdentityError::NoSecondFactor)?;
        let step =
            codes::step_of(&secret, command.code.expose(), cx.now(), 0).ok_or(IdentityError::WrongCode)?;

        let mut work = self.store.begin().await?;
        let confirmed = sqlx::query(
            "UPDATE identity_operator
             SET totp_secret = totp_pending, totp_pending = NULL, totp_step = $1, updated_at = $2
             WHERE id = $3 AND totp_pending = $4 AND status = 'ACTIVE'",
        )
        .bind(step)
        .bind(cx.now().as_microsecond())
        .bind(&account.id)
        .bind(pending)
        .execute(&mut *work)
        .await?;
        if confirmed.rows_affected() == 0 {
            return Err(IdentityError::NoSecondFactor);
        }
        self.end_sessions(&mut work, &account).await?;
        let shown = Shown { aal: 2, at: authenticated_at(cx) };
        let signed_in = self.open_session(&mut work, cx, &account, shown).await?;
        work.commit(cx).await?;
        self.acquit(&account.shown.name).await?;
        Ok(signed_in)
    }
}
