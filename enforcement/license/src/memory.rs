//! What survives the process (semantics 3.7 to 3.9): the installed license, the license that was last read well, and the
//! latest time that was seen.
//!
//! Every note is protected by a key that only this deployment has, so one that somebody edited is found out. One that
//! somebody deletes is not: the notes bear witness to each other's times, and nothing on the machine bears witness to
//! all of them.

mod files;
mod sql;

use std::{collections::BTreeMap, path::PathBuf};

use envelope::StateKey;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{Cause, Store, StoreError};

use crate::{reading::SourceKind, source::Slot};

pub(crate) use files::Files;
pub(crate) use sql::Sql;

/// The table of [`Memory::database`].
pub const MIGRATIONS: &[store::Migration] = &[sql::MIGRATION];

/// Where the running license keeps what survives the process.
#[derive(Clone, Debug)]
pub struct Memory(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Nowhere,
    Files(Files),
    Database(Sql),
    Observed(Sql),
}

/// Why something could not be kept or recalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
    /// A file failed.
    #[error("file `{}` failed", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// How.
        source: std::io::Error,
    },
}

impl From<store::sqlx::Error> for MemoryError {
    fn from(error: store::sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Memory {
    /// Nothing survives: no installing, no recovery after a restart, no clock guard across restarts.
    pub const fn none() -> Self {
        Self(Kind::Nowhere)
    }

    /// In the database, with the table of [`MIGRATIONS`]. Replicas that share it agree.
    pub const fn database(store: Store) -> Self {
        Self(Kind::Database(Sql::new(store)))
    }

    /// What [`database`](Self::database) holds, to look at: nothing is written, nothing can be installed.
    pub const fn observing(store: Store) -> Self {
        Self(Kind::Observed(Sql::new(store)))
    }

    /// In the files of `license.runtime.last-good-snapshot-path` and `license.runtime.last-seen-time-path`, for a
    /// deployment without a database. Nothing can be installed there. One process only.
    pub const fn files(last_good: Option<PathBuf>, last_seen: Option<PathBuf>) -> Self {
        Self(Kind::Files(Files { last_good, last_seen }))
    }

    pub(crate) const fn can_install(&self) -> bool {
        matches!(self.0, Kind::Database(_))
    }

    /// Whether other processes may change it.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.0, Kind::Database(_))
    }

    /// The notes that are not as they are known; all that exist, when none is known.
    pub(crate) async fn changes(&self, known: &Marks) -> Result<Vec<(Name, Option<Row>)>, MemoryError> {
        match &self.0 {
            Kind::Nowhere => Ok(Vec::new()),
            Kind::Files(files) => files.load().await,
            Kind::Database(sql) | Kind::Observed(sql) => sql.changes(known).await,
        }
    }

    /// Keeps a note. One that is later already stays, unless it is to be `replaced`.
    pub(crate) async fn keep(&self, note: &Note, replace: bool) -> Result<(), MemoryError> {
        match &self.0 {
            Kind::Nowhere | Kind::Observed(_) => Ok(()),
            Kind::Files(files) => files.keep(note, replace).await,
            Kind::Database(sql) => sql.keep(note, replace).await,
        }
    }

    /// Keeps the installed license, if the one that it replaces is still there, and sets the time along with it.
    pub(crate) async fn install(
        &self,
        note: &Note,
        seen: Option<&Note>,
        cause: Cause<'_>,
    ) -> Result<bool, MemoryError> {
        match &self.0 {
            Kind::Nowhere | Kind::Observed(_) | Kind::Files(_) => Ok(false),
            Kind::Database(sql) => sql.install(note, seen, cause).await,
        }
    }

    /// Whether this process is the first to say it, of all that share this memory.
    pub(crate) async fn is_first_to_say(&self, what: &str, now: Timestamp) -> Result<bool, MemoryError> {
        match &self.0 {
            Kind::Nowhere | Kind::Files(_) => Ok(true),
            Kind::Observed(_) => Ok(false),
            Kind::Database(sql) => sql.is_first_to_say(what, now).await,
        }
    }
}

/// The notes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Installed,
    LastGood,
    LastSeen,
}

impl Name {
    pub(crate) const ALL: [Self; 3] = [Self::Installed, Self::LastGood, Self::LastSeen];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::LastGood => "last-good",
            Self::LastSeen => "last-seen",
        }
    }
}

/// How far each note has come, as last seen.
pub(crate) type Marks = BTreeMap<Name, Mark>;

/// How far a note has come. Later ones compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) epoch: i64,
    pub(crate) version: i64,
}

/// A note as it is stored: nothing in it is believed before it is checked.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) mark: Mark,
    pub(crate) content: String,
}

/// A note to be stored.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) name: Name,
    pub(crate) row: Row,
    pub(crate) at: Timestamp,
}

/// What a note says.
pub(crate) trait Content: Serialize + DeserializeOwned {
    const NAME: Name;

    fn mark(&self) -> Mark;

    fn note(&self, key: &StateKey, at: Timestamp) -> Note {
        let text = serde_json::to_string(self).expect("a note is JSON: it has no maps and no floats");
        let content = key.protect(Self::NAME.as_str(), &text);
        Note { name: Self::NAME, row: Row { mark: self.mark(), content }, at }
    }

    /// What a stored note says, if nobody changed it or its mark.
    fn recall(key: &StateKey, row: Option<&Row>) -> Slot<Self> {
        let Some(row) = row else { return Slot::Empty };
        let checked = key.check(Self::NAME.as_str(), &row.content);
        match checked.and_then(|text| serde_json::from_str::<Self>(text).ok()) {
            Some(content) if content.mark() == row.mark => Slot::Kept(content),
            _ => Slot::Changed,
        }
    }
}

/// A license that an operator installed, or that none is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Installed {
    pub(crate) version: i64,
    #[serde(with = "secret")]
    pub(crate) token: Option<SecretString>,
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) previous: Option<String>,
    /// When the license was issued.
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) epoch: i64,
}

impl Content for Installed {
    const NAME: Name = Name::Installed;

    fn mark(&self) -> Mark {
        Mark { epoch: 0, version: self.version }
    }
}

/// The license that was last read well.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Good {
    #[serde(with = "secret")]
    pub(crate) token: Option<SecretString>,
    pub(crate) source: SourceKind,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) read_at: Timestamp,
    pub(crate) epoch: i64,
}

impl Content for Good {
    const NAME: Name = Name::LastGood;

    fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, version: self.read_at.as_microsecond() }
    }
}

/// The latest time that was seen.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) time: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) epoch: i64,
    /// Warnings that were given already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) said: Vec<String>,
}

impl Content for Seen {
    const NAME: Name = Name::LastSeen;

    fn mark(&self) -> Mark {
        Mark { epoch: self.epoch, version: self.time.as_microsecond() }
    }
}

/// Tokens are secrets everywhere but in a note.
mod secret {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, ExposeSecret, SecretString, Serialize};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(super) fn serialize<S: Serializer>(token: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        token.as_ref().map(ExposeSecret::expose_secret).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
    }
}
