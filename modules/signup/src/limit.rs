//! How much one address may ask, counted in the database, so that all replicas count together.

use std::net::IpAddr;

use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use sdk::{
    prelude::*,
    store::{Work, sqlx},
};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::{Email, Policy, Signup, SignupError};

impl Signup {
    /// Counts a call from a network address. Calls from within the process have none.
    pub(crate) async fn admit_source(&self, cx: &Cx, policy: &Policy) -> Result<(), SignupError> {
        let Some(source) = self.source(cx) else { return Ok(()) };
        let mut work = self.store.begin().await?;
        let admitted = admit(&mut work, &source, policy.per_address, policy.window, cx.now()).await;
        work.commit(Cause::Upkeep).await?;
        admitted
    }

    /// Counts a mail to an address, with the work that causes it.
    pub(crate) async fn admit_email(
        &self,
        work: &mut Work,
        email: &Email,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(), SignupError> {
        let bucket = self.blind("email", &email.mailbox());
        admit(work, &bucket, policy.per_email, policy.window, now).await
    }

    /// The network address the call came from, as it may be kept.
    pub(crate) fn source(&self, cx: &Cx) -> Option<String> {
        cx.peer().map(|peer| self.blind("source", &network(peer)))
    }

    /// A text that only this deployment can make of `text`, and nobody can read.
    fn blind(&self, kind: &str, text: &str) -> String {
        let key = self.pepper.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(format!("{kind}\0{text}").as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

/// Whoever has an IPv6 address has a whole /64 of them.
fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

/// One statement, so two that race for the last place do not both get it.
async fn admit(
    work: &mut Work,
    bucket: &str,
    limit: u32,
    window: SignedDuration,
    now: Timestamp,
) -> Result<(), SignupError> {
    let over = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
    let hits: Option<i64> = if limit == 0 {
        None
    } else {
        sqlx::query_scalar(
            "INSERT INTO signup_bucket (bucket, began_at, hits) VALUES ($1, $2, 1)
             ON CONFLICT (bucket) DO UPDATE SET
                 hits = CASE WHEN signup_bucket.began_at <= $3 THEN 1 ELSE signup_bucket.hits + 1 END,
                 began_at = CASE WHEN signup_bucket.began_at <= $3 THEN $2 ELSE signup_bucket.began_at END
             WHERE signup_bucket.began_at <= $3 OR signup_bucket.hits < $4
             RETURNING hits",
        )
        .bind(bucket)
        .bind(now.as_microsecond())
        .bind(over.as_microsecond())
        .bind(i64::from(limit))
        .fetch_optional(&mut **work)
        .await?
    };
    if hits.is_some() {
        return Ok(());
    }
    let began: Option<i64> = sqlx::query_scalar("SELECT began_at FROM signup_bucket WHERE bucket = $1")
        .bind(bucket)
        .fetch_optional(&mut **work)
        .await?;
    let began = began.and_then(|began| Timestamp::from_microsecond(began).ok()).unwrap_or(now);
    let left = began.duration_since(over);
    Err(SignupError::TooMany { retry_after: left.try_into().unwrap_or_default() })
}

/// Forgets windows that are over.
pub(crate) async fn forget(
    work: &mut Work,
    window: SignedDuration,
    now: Timestamp,
) -> Result<(), SignupError> {
    let over = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
    sqlx::query("DELETE FROM signup_bucket WHERE began_at <= $1")
        .bind(over.as_microsecond())
        .execute(&mut **work)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_ipv4_address_or_a_slash_64() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
