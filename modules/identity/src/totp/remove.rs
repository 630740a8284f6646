//! `identity.totp.remove`

use sdk::prelude::*;

use crate::{
    Identity, IdentityError, Secret, SignedIn, codes,
    operator::caller,
    session::{Shown, authenticated_at, current},
    told_once,
};

/// Remove one's own second factor, by a code of the app or a recovery code. Every session ends, and another begins for
/// the caller, with one factor.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.totp.remove", Identity -> SignedIn)]
#[access(authenticated, max_age = "15m")]
#[license(none)]
#[http(POST "/api/identity/v1/totp/remove")]
pub struct RemoveTotp {
    /// The app's present code, or a recovery code.
    pub code: Secret,
}

impl Handle<RemoveTotp> for Identity {
    async fn handle(&self, cx: &Cx, command: RemoveTotp) -> Result<SignedIn, IdentityError> {
        told_once(cx)?;
        current(cx)?;
        let account = caller(self.store.reader(), cx).await?;
        if account.totp_secret.is_none() {
            return Err(IdentityError::NoSecondFactor);
        }
        self.admit(cx, &account.shown.name).await?;
        let mut work = self.store.begin().await?;
        if !self.spend_code(&mut work, cx, &account, &command.code).await? {
            return Err(IdentityError::WrongCode);
        }
        codes::forget_second_factor(&mut work, &account.id, cx.now()).await?;
        self.end_sessions(&mut work, &account).await?;
        let shown = Shown { aal: 1, at: authenticated_at(cx) };
        let signed_in = self.open_session(&mut work, cx, &account, shown).await?;
        work.commit(cx).await?;
        self.acquit(&account.shown.name).await?;
        Ok(signed_in)
    }
}
