//! How often someone may try. Each subject has one instant in the database, at which it owes nothing any more; an attempt
//! moves it by a period, and is refused where that would be more than a burst away (GCRA). It is one statement, so all
//! replicas and all simultaneous attempts count together.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _},
};

use crate::{Allowance, Identity, IdentityError, secret::hash};

/// Who or what has tried. The database holds it hashed.
pub(crate) struct Subject(String);

impl Subject {
    /// An account, whether or not there is one of this name.
    pub(crate) fn account(name: &str) -> Self {
        Self(hash(&format!("account:{name}")))
    }

    /// An address; of IPv6 the network of its 64 leading bits, which is what one party has.
    pub(crate) fn address(peer: IpAddr) -> Self {
        let network = match peer {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        };
        Self(hash(&format!("address:{network}")))
    }
}

impl Identity {
    /// Counts an attempt on an account, and from the address it comes from, before it is looked at.
    pub(crate) async fn admit(&self, cx: &Cx, name: &str) -> Result<(), IdentityError> {
        self.admit_address(cx).await?;
        self.count(&Subject::account(name), self.settings.throttle.account, cx.now()).await
    }

    /// Counts an attempt from the address it comes from.
    pub(crate) async fn admit_address(&self, cx: &Cx) -> Result<(), IdentityError> {
        let Some(peer) = cx.peer() else { return Ok(()) };
        self.count(&Subject::address(peer), self.settings.throttle.address, cx.now()).await
    }

    /// What was tried was right, so it does not count against the account.
    pub(crate) async fn acquit(&self, name: &str) -> Result<(), IdentityError> {
        let mut work = self.store.begin_relaxed().await?;
        sqlx::query("DELETE FROM identity_throttle WHERE subject = $1")
            .bind(Subject::account(name).0)
            .execute(&mut *work)
            .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(())
    }

    async fn count(
        &self,
        subject: &Subject,
        allowed: Allowance,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let period = i64::try_from(allowed.period.as_micros()).unwrap_or(i64::MAX / 2).max(1);
        let now = now.as_microsecond();
        // An attempt is let through up to here.
        let latest = now.saturating_add(period.saturating_mul(i64::from(allowed.burst.max(1)) - 1));
        let mut work = self.store.begin_relaxed().await?;
        let counted = sqlx::query(
            "INSERT INTO identity_throttle (subject, free_at) VALUES ($1, $2)
             ON CONFLICT (subject) DO UPDATE SET free_at = $3
                 + CASE WHEN identity_throttle.free_at > $4 THEN identity_throttle.free_at ELSE $5 END
             WHERE identity_throttle.free_at <= $6",
        )
        .bind(&subject.0)
        .bind(now.saturating_add(period))
        .bind(period)
        .bind(now)
        .bind(now)
        .bind(latest)
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
        if counted.rows_affected() == 1 {
            return Ok(());
        }
        let row = sqlx::query("SELECT free_at FROM identity_throttle WHERE subject = $1")
            .bind(&subject.0)
            .fetch_optional(self.store.reader())
            .await?;
        let free_at = row.map_or(Ok(now), |row| row.try_get("free_at"))?;
        let wait = SignedDuration::from_micros(free_at.saturating_sub(latest).max(1));
        Err(IdentityError::TooManyAttempts { retry_after: wait.try_into().unwrap_or_default() })
    }
}
