//! `identity.password.change`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, Secret, SignedIn,
    action::forget_actions,
    operator::caller,
    passwords::objection,
    session::{Shown, current},
    told_once,
};

/// Change one's own password. Every session ends, and another begins for the caller; tokens for scripts stay good.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.password.change", Identity -> SignedIn)]
#[access(authenticated)]
#[license(none)]
#[http(POST "/api/identity/v1/password")]
pub struct ChangePassword {
    /// The present password.
    pub current: Secret,
    /// The one from now on: 12 characters at least.
    pub new: Secret,
}

impl Handle<ChangePassword> for Identity {
    async fn handle(&self, cx: &Cx, command: ChangePassword) -> Result<SignedIn, IdentityError> {
        told_once(cx)?;
        current(cx)?;
        let account = caller(self.store.reader(), cx).await?;
        let (name, email) = (&account.shown.name, account.shown.email.as_deref());
        if let Some(objection) = objection(&command.new, name, email) {
            return Err(IdentityError::WeakPassword(objection));
        }
        self.admit(cx, name).await?;
        let checked = self.passwords.check(command.current, account.password_hash.clone()).await?;
        if !checked.matches {
            return Err(IdentityError::WrongPassword);
        }
        let hash = self.passwords.hash(cx.ambient(), command.new).await?;

        let mut work = self.store.begin().await?;
        let changed = sqlx::query(
            "UPDATE identity_operator SET password_hash = $1, updated_at = $2
             WHERE id = $3 AND password_hash = $4 AND status = 'ACTIVE'",
        )
        .bind(hash)
        .bind(cx.now().as_microsecond())
        .bind(&account.id)
        .bind(account.password_hash.as_ref())
        .execute(&mut *work)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(IdentityError::WrongPassword);
        }
        self.end_sessions(&mut work, &account).await?;
        forget_actions(&mut work, &account.id).await?;
        let shown = Shown { aal: crate::session::aal(cx), at: cx.now() };
        let signed_in = self.open_session(&mut work, cx, &account, shown).await?;
        work.commit(cx).await?;
        self.acquit(name).await?;
        Ok(signed_in)
    }
}
