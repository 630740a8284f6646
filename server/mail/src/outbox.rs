use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kernel::Ambient;
use sdk::mail::{Mail, Mailer, Taken};
use secrecy::{ExposeSecret, SecretString};
use secrets::Keeping;
use store::{
    Cause, Migration, Store, StoreError, Work,
    sqlx::{self, Row},
};
use uuid::Uuid;

use crate::Smtp;

/// The outbox's table.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 20_261_124_000_600,
    name: "outbox",
    sql: include_str!("../migrations/20261124_000600_outbox.sql"),
}];

/// The first wait after a failed attempt; each is twice the one before, up to [`LONGEST_WAIT`].
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// How long a settled mail is kept, without its text, for those who ask what became of it.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn, or for another attempt.
    Pending,
    /// The server took it.
    Sent,
    /// The server refused it for good, or it was not sent in time.
    Dead,
}

impl State {
    /// As the table spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Dead => "DEAD",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many mails there are of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Not sent yet.
    pub pending: i64,
    /// Sent in the last days.
    pub sent: i64,
    /// Given up in the last days.
    pub dead: i64,
}

/// The outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(crate) store: Store,
    pub(crate) smtp: Option<Smtp>,
    keeping: Keeping,
    reachable: Arc<AtomicBool>,
}

impl Outbox {
    /// Over this database, delivered by this server. Without one, mails wait until there is. Their texts are kept so.
    pub fn new(store: Store, smtp: Option<Smtp>, keeping: Keeping) -> Self {
        Self { store, smtp, keeping, reachable: Arc::default() }
    }

    /// Whether there is a server to deliver by.
    pub const fn is_configured(&self) -> bool {
        self.smtp.is_some()
    }

    /// Whether that server took part the last time this process spoke to it.
    pub fn is_healthy(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    pub(crate) fn note_health(&self, healthy: bool) {
        if self.reachable.swap(healthy, Ordering::Relaxed) != healthy {
            if healthy {
                tracing::info!("the mail server answers");
            } else {
                tracing::warn!("the mail server does not answer; mails wait");
            }
        }
    }

    /// Writes a mail into the outbox. It is sent once `work` is committed, and never when it is not. Answers the mail's id,
    /// which is also its `Message-ID`.
    pub async fn enqueue(&self, work: &mut Work, ambient: &Ambient, mail: &Mail) -> Result<Uuid, StoreError> {
        let (id, now) = (ambient.uuid(), ambient.now().as_microsecond());
        sqlx::query(
            "INSERT INTO mail_outbox
                 (id, recipient, subject, body, state, attempts, due_at, until_at, created_at)
             VALUES ($1, $2, $3, $4, 'PENDING', 0, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(&mail.to)
        .bind(&mail.subject)
        .bind(self.keeping.put(&label(id, &mail.to), mail.text.expose_secret().as_bytes()))
        .bind(now)
        .bind(mail.until.as_microsecond())
        .bind(now)
        .execute(&mut **work)
        .await?;
        Ok(id)
    }

    /// What became of a mail. Settled mails are forgotten after some days.
    pub async fn state(&self, id: Uuid) -> Result<Option<State>, StoreError> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM mail_outbox WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.store.reader())
            .await?;
        let all = [State::Pending, State::Sent, State::Dead];
        Ok(state.and_then(|state| all.into_iter().find(|known| known.as_str() == state)))
    }

    /// How many mails there are of each state.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS mails FROM mail_outbox GROUP BY state")
            .fetch_all(self.store.reader())
            .await?;
        let mut backlog = Backlog::default();
        for row in rows {
            let mails = row.try_get("mails")?;
            match row.try_get::<String, _>("state")?.as_str() {
                "PENDING" => backlog.pending = mails,
                "SENT" => backlog.sent = mails,
                _ => backlog.dead = mails,
            }
        }
        Ok(backlog)
    }

    /// Takes the next mail that is due, for as long as `hold`. Two that ask at once do not get the same one: the second
    /// finds it due only later.
    pub(crate) async fn claim(&self, now: Timestamp, hold: Duration) -> Result<Option<Claimed>, StoreError> {
        let at = now.as_microsecond();
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT due_at FROM mail_outbox WHERE state = 'PENDING' AND due_at <= $1 LIMIT 1",
        )
        .bind(at)
        .fetch_optional(self.store.reader())
        .await?;
        if due.is_none() {
            return Ok(None);
        }
        let hold = SignedDuration::try_from(hold).unwrap_or(SignedDuration::MAX);
        let mut work = self.store.begin().await?;
        let row = sqlx::query(
            "UPDATE mail_outbox SET attempts = attempts + 1, due_at = $1
             WHERE state = 'PENDING' AND due_at <= $2
               AND id = (SELECT id FROM mail_outbox WHERE state = 'PENDING' AND due_at <= $3
                         ORDER BY due_at, id LIMIT 1)
             RETURNING id, recipient, subject, body, attempts, until_at",
        )
        .bind(now.saturating_add(hold).map_or(i64::MAX, Timestamp::as_microsecond))
        .bind(at)
        .bind(at)
        .fetch_optional(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await?;
        row.map(|row| {
            let (id, to): (String, String) = (row.try_get("id")?, row.try_get("recipient")?);
            let text = self.keeping.take(&label(&id, &to), &row.try_get::<String, _>("body")?);
            Ok(Claimed {
                attempt: row.try_get("attempts")?,
                subject: row.try_get("subject")?,
                text: text.and_then(|text| String::from_utf8(text).ok()).map(SecretString::from),
                until: Timestamp::from_microsecond(row.try_get("until_at")?).unwrap_or(Timestamp::MAX),
                id,
                to,
            })
        })
        .transpose()
    }

    /// Ends a mail: its text goes. Whoever has lost hold of it ends nothing.
    pub(crate) async fn settle(
        &self,
        claimed: &Claimed,
        state: State,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        sqlx::query(
            "UPDATE mail_outbox SET state = $1, subject = '', body = '', settled_at = $2
             WHERE id = $3 AND state = 'PENDING' AND attempts = $4",
        )
        .bind(state.as_str())
        .bind(now.as_microsecond())
        .bind(&claimed.id)
        .bind(claimed.attempt)
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await
    }

    /// Puts a mail back for another attempt.
    pub(crate) async fn postpone(&self, claimed: &Claimed, now: Timestamp) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        sqlx::query(
            "UPDATE mail_outbox SET due_at = $1 WHERE id = $2 AND state = 'PENDING' AND attempts = $3",
        )
        .bind(now.saturating_add(wait_after(claimed.attempt)).map_or(i64::MAX, Timestamp::as_microsecond))
        .bind(&claimed.id)
        .bind(claimed.attempt)
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await
    }

    /// Removes what was settled long ago, and ends what lost its meaning while there was nobody to deliver it.
    pub(crate) async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        sqlx::query("DELETE FROM mail_outbox WHERE settled_at <= $1")
            .bind(now.saturating_sub(KEPT).map_or(i64::MIN, Timestamp::as_microsecond))
            .execute(&mut *work)
            .await?;
        sqlx::query(
            "UPDATE mail_outbox SET state = 'DEAD', subject = '', body = '', settled_at = $1
             WHERE state = 'PENDING' AND until_at <= $2",
        )
        .bind(now.as_microsecond())
        .bind(now.as_microsecond())
        .execute(&mut *work)
        .await?;
        work.commit(Cause::Upkeep).await
    }
}

impl Mailer for Outbox {
    fn enqueue<'a>(&'a self, work: &'a mut Work, ambient: &'a Ambient, mail: Mail) -> Taken<'a> {
        Box::pin(async move { Outbox::enqueue(self, work, ambient, &mail).await })
    }
}

/// A mail that this process holds.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: String,
    pub(crate) attempt: i64,
    pub(crate) to: String,
    pub(crate) subject: String,
    /// None, where it cannot be read: it was put there under another key, or for somebody else.
    pub(crate) text: Option<SecretString>,
    pub(crate) until: Timestamp,
}

/// What a text is kept as: nobody can have it sent to another address.
fn label(id: impl fmt::Display, to: &str) -> String {
    format!("mail {id} to {to}")
}

fn wait_after(attempt: i64) -> SignedDuration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(10);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_the_longest() {
        let waits = [1, 2, 3, 8, 9, 1000].map(|attempt| wait_after(attempt).as_secs());
        assert_eq!(waits, [5, 10, 20, 640, 900, 900]);
    }
}
