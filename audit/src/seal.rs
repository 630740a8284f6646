use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::sqlx::{self, AssertSqlSafe, Row as _};
use store::{Cause, StoreError};
use tokio::time::sleep;

use crate::chain::{Hash, Head, decode, stored};
use crate::recorder::story;
use crate::sql::{parts, tuples};
use crate::verify::{Broken, Defect};
use crate::{AuditLog, Scope};

/// The most chains one checkpoint speaks of; with more news there are more checkpoints.
const MAX_HEADS: i64 = 1000;

/// Proves that a text is ours: a key that whoever can write to the database does not have.
///
/// A seal keeps its content readable. `label` says what kind of text it is, so that none can take the place of another.
pub trait Seal: Send + Sync + 'static {
    /// The content with its proof.
    fn protect(&self, label: &str, content: &str) -> String;

    /// The content, if it was sealed under this label and not changed since.
    fn check<'n>(&self, label: &str, note: &'n str) -> Option<&'n str>;
}

/// What the log seals with, if it can.
#[derive(Clone)]
pub(crate) struct Sealing(pub(crate) Option<Arc<dyn Seal>>);

/// What a sealed text is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label {
    Checkpoint,
    Pruned,
    Export,
}

/// What a checkpoint says: so far had these chains come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// 1, 2, 3 and so on.
    pub(crate) number: u64,
    /// The hash of the note before, so that none can be left out.
    pub(crate) previous: Hash,
    pub(crate) time: Timestamp,
    /// Only what is new since the checkpoint before.
    pub(crate) heads: BTreeMap<String, Sealed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
}

/// What stands where events were pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PrunedNote {
    pub(crate) scope: String,
    /// The last event that went.
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
    pub(crate) time: Timestamp,
}

/// A part of a chain that went, and is still proved to have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// Whose events.
    pub scope: Scope,
    /// How many went.
    pub events: u64,
    /// The last that went; the chain now begins after it.
    pub sequence: u64,
}

/// What tells a checkpoint from any other: its number, and the hash of its note, which has the hash of the note before. As text
/// `7:9f3c…`. Kept elsewhere, it proves later that nothing up to there was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Mark {
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

/// The text is no mark of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a checkpoint, a colon and a hash")]
pub struct MalformedMark;

impl Mark {
    pub(crate) fn of(number: u64, note: &str) -> Self {
        Self { number, hash: Hash::of(note.as_bytes()) }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for Mark {
    type Err = MalformedMark;

    fn from_str(text: &str) -> Result<Self, MalformedMark> {
        let (number, hash) = text.split_once(':').ok_or(MalformedMark)?;
        let number = number.parse().map_err(|_| MalformedMark)?;
        Ok(Self { number, hash: hash.parse().map_err(|_| MalformedMark)? })
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

impl TryFrom<String> for Mark {
    type Error = MalformedMark;

    fn try_from(text: String) -> Result<Self, MalformedMark> {
        text.parse()
    }
}

/// Why nothing was sealed, pruned or exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The database failed.
    #[error("the audit database failed")]
    Store(#[from] StoreError),
    /// This log was opened without a key.
    #[error("the audit log has no key to seal with")]
    NoSeal,
    /// What was to be relied on is not intact.
    #[error("the audit log is not intact: {0}")]
    Broken(Broken),
    /// The export could not be written.
    #[error("failed to write the export")]
    Write(#[from] std::io::Error),
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Label {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Checkpoint => "audit checkpoint",
            Self::Pruned => "audit pruned",
            Self::Export => "audit export",
        }
    }
}

impl Sealing {
    pub(crate) fn protect(&self, label: Label, content: &impl Serialize) -> Result<String, AuditError> {
        let content = serde_json::to_string(content).map_err(|error| sqlx::Error::Encode(error.into()))?;
        Ok(self.0.as_ref().ok_or(AuditError::NoSeal)?.protect(label.as_str(), &content))
    }

    /// What a sealed text says, or `None` when it is not one of ours. Without a key it is taken at its word.
    pub(crate) fn open<T: for<'de> Deserialize<'de>>(&self, label: Label, note: &str) -> Option<T> {
        let content = match &self.0 {
            Some(seal) => seal.check(label.as_str(), note)?,
            // A proof comes first and has no brace.
            None => &note[note.find('{')?..],
        };
        serde_json::from_str(content).ok()
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sealing" } else { "NotSealing" })
    }
}

impl AuditLog {
    /// Seals how far every chain has come since the last checkpoint, and answers the sealed notes: none when nothing
    /// happened. A copy of a note kept elsewhere proves later that nothing before it was cut off.
    ///
    /// Of several processes that do this at once, one does it.
    pub async fn checkpoint(&self, now: Timestamp) -> Result<Vec<String>, AuditError> {
        let mut notes = Vec::new();
        while let Some((note, more)) = self.one_checkpoint(now).await? {
            notes.push(note);
            if !more {
                break;
            }
        }
        Ok(notes)
    }

    /// Makes checkpoints without end, with this pause between them. A failure is told to `tracing` when it begins and when
    /// it ends.
    pub async fn seal_every(self, pause: Duration, now: impl Fn() -> Timestamp + Send) {
        let mut failing = false;
        loop {
            let sealed = self.checkpoint(now()).await;
            match &sealed {
                Ok(_) if failing => tracing::info!("audit checkpoints are made again"),
                Err(error) if !failing => {
                    tracing::error!(error = story(error), "no audit checkpoint is made");
                }
                Ok(_) | Err(_) => {}
            }
            failing = sealed.is_err();
            sleep(pause).await;
        }
    }

    async fn one_checkpoint(&self, now: Timestamp) -> Result<Option<(String, bool)>, AuditError> {
        let mut work = self.store.begin().await?;
        let last = sqlx::query("SELECT number, note FROM audit_checkpoint ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut *work)
            .await?;
        let (number, previous) = match last {
            Some(row) => (row.try_get::<i64, _>(0)?, Hash::of(row.try_get::<String, _>(1)?.as_bytes())),
            None => (0, Hash::NONE),
        };
        let rows = sqlx::query(
            "SELECT h.scope, h.sequence, h.hash FROM audit_head h
             WHERE NOT EXISTS (
                 SELECT 1 FROM audit_sealed s WHERE s.scope = h.scope AND s.sequence = h.sequence
             )
             ORDER BY h.scope LIMIT $1",
        )
        .bind(MAX_HEADS)
        .fetch_all(&mut *work)
        .await?;
        let mut heads = BTreeMap::new();
        for row in &rows {
            let head = head(row.try_get(1)?, &row.try_get::<String, _>(2)?)?;
            // A head that another transaction has just made, and not moved yet.
            if head.sequence > 0 {
                heads.insert(row.try_get(0)?, Sealed { sequence: head.sequence, hash: head.hash });
            }
        }
        if heads.is_empty() {
            return Ok(None);
        }

        let forged = || AuditError::Broken(Broken::checkpoint(number.unsigned_abs(), Defect::Inserted));
        let number = number.checked_add(1).ok_or_else(forged)?;
        let checkpoint = Checkpoint { number: number.unsigned_abs(), previous, time: now, heads };
        let note = self.sealing.protect(Label::Checkpoint, &checkpoint)?;
        let added = sqlx::query("INSERT INTO audit_checkpoint (number, note) VALUES ($1, $2)")
            .bind(number)
            .bind(&note)
            .execute(&mut *work)
            .await
            .map_err(StoreError::from);
        match added {
            Err(error) if error.is_unique_violation() => return Ok(None),
            other => other?,
        };
        let heads: Vec<_> = checkpoint.heads.iter().collect();
        for part in parts(&heads) {
            let sql = format!(
                "INSERT INTO audit_sealed (scope, sequence, checkpoint) VALUES {} ON CONFLICT DO NOTHING",
                tuples(part.len(), 3)
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (scope, sealed) in part {
                query = query.bind(*scope).bind(stored(sealed.sequence)).bind(number);
            }
            query.execute(&mut *work).await?;
        }
        work.commit(Cause::Upkeep).await?;
        let mark = Mark::of(checkpoint.number, &note);
        tracing::info!(target: "audit", checkpoint = %mark, "sealed");
        Ok(Some((note, rows.len() >= usize::try_from(MAX_HEADS).unwrap_or(usize::MAX))))
    }

    /// Takes away the events of one scope that are older than an instant, as far as a checkpoint seals them, and leaves a
    /// sealed note in their place, so that the rest is proved as before. What does not verify is not taken away, nor what a
    /// consumer has not had yet.
    ///
    /// [`export`](Self::export) first what must be kept elsewhere.
    pub async fn prune(
        &self,
        scope: &Scope,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Pruned>, AuditError> {
        let key = scope.key();
        let base = self.base(&key).await?.map_err(AuditError::Broken)?;
        let sealed = sqlx::query(
            "SELECT s.sequence, s.checkpoint, e.hash
             FROM audit_sealed s JOIN audit_event e ON e.scope = s.scope AND e.sequence = s.sequence
             WHERE s.scope = $1 AND e.time < $2 AND s.sequence > $3 AND NOT EXISTS (
                 SELECT 1 FROM audit_consumer k
                 LEFT JOIN audit_cursor c ON c.consumer = k.name AND c.scope = s.scope
                 WHERE coalesce(c.sequence, 0) < s.sequence
             )
             ORDER BY s.sequence DESC LIMIT 1",
        )
        .bind(&*key)
        .bind(before.as_microsecond())
        .bind(stored(base.sequence))
        .fetch_optional(self.store.reader())
        .await?;
        let Some(row) = sealed else { return Ok(None) };
        let last = head(row.try_get(0)?, &row.try_get::<String, _>(2)?)?;
        self.must_be_sealed(&key, last, row.try_get(1)?).await?;
        if let Some(broken) = self.walk_unseen(&key, None, Some(last.sequence)).await?.broken {
            return Err(AuditError::Broken(broken));
        }

        let note = PrunedNote { scope: key.to_string(), sequence: last.sequence, hash: last.hash, time: now };
        let note = self.sealing.protect(Label::Pruned, &note)?;
        let mut work = self.store.begin().await?;
        sqlx::query("INSERT INTO audit_pruned (scope, sequence, note) VALUES ($1, $2, $3)")
            .bind(&*key)
            .bind(stored(last.sequence))
            .bind(note)
            .execute(&mut *work)
            .await?;
        let gone = sqlx::query("DELETE FROM audit_event WHERE scope = $1 AND sequence <= $2")
            .bind(&*key)
            .bind(stored(last.sequence))
            .execute(&mut *work)
            .await?;
        work.commit(Cause::Upkeep).await?;
        Ok(Some(Pruned { scope: scope.clone(), events: gone.rows_affected(), sequence: last.sequence }))
    }

    /// Looks into the checkpoint itself: the table that leads to it is not sealed.
    async fn must_be_sealed(&self, scope: &str, head: Head, number: i64) -> Result<(), AuditError> {
        let note = sqlx::query_scalar::<_, String>("SELECT note FROM audit_checkpoint WHERE number = $1")
            .bind(number)
            .fetch_optional(self.store.reader())
            .await?;
        let said = note
            .and_then(|note| self.sealing.open::<Checkpoint>(Label::Checkpoint, &note))
            .and_then(|checkpoint| checkpoint.heads.get(scope).copied());
        if said == Some(Sealed { sequence: head.sequence, hash: head.hash }) {
            return Ok(());
        }
        Err(AuditError::Broken(Broken::checkpoint(number.unsigned_abs(), Defect::Changed)))
    }
}

pub(crate) fn head(sequence: i64, hash: &str) -> Result<Head, sqlx::Error> {
    Ok(Head { sequence: u64::try_from(sequence).map_err(decode)?, hash: hash.parse().map_err(decode)? })
}
