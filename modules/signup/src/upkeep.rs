use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sdk::{prelude::*, store::sqlx};

use crate::{
    Signup, SignupError,
    limit::forget,
    request::{Marks, Step, advance, read},
};

/// How long a confirmed request is left to whoever confirmed it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// How long a registration that is taken up again may take.
const REGISTRATION: Duration = Duration::from_secs(30);

impl Signup {
    /// Looks after what nobody calls about: links that grew too old, registrations that were interrupted, windows that are
    /// over. Done twice, or by two replicas at once, it changes nothing more.
    pub async fn look_after(&self, ambient: &Ambient) -> Result<(), SignupError> {
        let now = ambient.now();
        self.expire(now).await?;
        self.resume(ambient, now).await?;
        let mut work = self.store.begin().await?;
        let longest = self.settings.platform.window.max(self.settings.children.window);
        forget(&mut work, longest, now).await?;
        work.commit(Cause::Upkeep).await?;
        Ok(())
    }

    /// Ends the requests whose links are too old at `now`, and answers how many there were.
    pub(crate) async fn expire(&self, now: Timestamp) -> Result<u64, SignupError> {
        let rows =
            sqlx::query("SELECT * FROM signup_request WHERE status = 'PENDING_EMAIL' AND expires_at <= $1")
                .bind(now.as_microsecond())
                .fetch_all(self.store.reader())
                .await?;
        let mut expired = 0;
        if rows.is_empty() {
            return Ok(expired);
        }
        let mut work = self.store.begin().await?;
        for row in &rows {
            match advance(&mut work, &mut read(row)?, Step::Expire, Marks::default()).await {
                Ok(()) => expired += 1,
                // Somebody else was faster.
                Err(SignupError::Misplaced(_)) => {}
                Err(error) => return Err(error),
            }
        }
        work.commit(Cause::Upkeep).await?;
        Ok(expired)
    }

    /// Takes up registrations that were interrupted.
    async fn resume(&self, ambient: &Ambient, now: Timestamp) -> Result<(), SignupError> {
        let before = now.saturating_sub(PATIENCE).unwrap_or(Timestamp::MIN);
        let rows =
            sqlx::query("SELECT * FROM signup_request WHERE status = 'CONFIRMED' AND confirmed_at <= $1")
                .bind(before.as_microsecond())
                .fetch_all(self.store.reader())
                .await?;
        for row in &rows {
            let cx = Cx::new(ambient.clone(), Principal::System).with_timeout(REGISTRATION);
            if let Err(error) = self.register(&cx, &mut read(row)?).await {
                tracing::warn!(%error, "an interrupted signup has come to its end");
            }
        }
        Ok(())
    }
}
