//! What is hashed, and how one event is linked to the one before.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::sqlx::any::AnyRow;
use store::sqlx::error::BoxDynError;
use store::sqlx::{self, Row as _};

use crate::{Event, Scope};

/// Stands first in everything hashed, so that no other use of SHA-256 yields the hash of a link.
const DOMAIN: &[u8] = b"chancery audit link, version 1\0";

/// The columns of a link, in the order in which [`Link::read`] expects them.
pub(crate) const COLUMNS: &str = "sequence, hash, id, name, time, actor, command, module, result, error_code, duration, \
    correlation_id, trace_id, span_id, metadata, scope";
/// How many there are.
pub(crate) const WIDTH: usize = 16;

/// A SHA-256 hash; as text 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Hash([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no SHA-256 hash in lower-case hexadecimal digits")]
pub struct MalformedHash;

/// An event in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Its place in the chain of its scope: 1, 2, 3 and so on.
    pub sequence: u64,
    /// The hash over the hash before it, the scope, the place and the event.
    pub hash: Hash,
}

/// The end of a chain, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
}

/// A row of `audit_event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) scope: String,
    pub(crate) sequence: i64,
    pub(crate) hash: String,
    pub(crate) record: Record,
}

/// An event as it is stored and hashed: nothing rounded, nothing derived on reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) event_id: String,
    pub(crate) event: String,
    pub(crate) time_micros: i64,
    pub(crate) actor_id: String,
    pub(crate) command_id: Option<String>,
    pub(crate) module: Option<String>,
    pub(crate) result: String,
    pub(crate) error_code: Option<String>,
    pub(crate) duration_micros: Option<i64>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    /// JSON text.
    pub(crate) metadata: String,
}

impl Hash {
    /// What the first link of a chain is linked to.
    pub(crate) const NONE: Self = Self([0; 32]);

    pub(crate) fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The hash of what was fed to it.
    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl Head {
    /// Before the first link.
    pub(crate) const NONE: Self = Self { sequence: 0, hash: Hash::NONE };

    /// The head after one more event.
    pub(crate) fn next(self, scope: &str, record: &Record) -> Self {
        let sequence = self.sequence + 1;
        Self { sequence, hash: record.hash(self.hash, scope, sequence) }
    }
}

impl Record {
    pub(crate) fn of(event: &Event) -> Result<Self, serde_json::Error> {
        Ok(Self {
            event_id: event.id.to_string(),
            event: event.name.clone().into_owned(),
            time_micros: event.time.as_microsecond(),
            actor_id: event.actor.clone(),
            command_id: event.command.clone().map(Cow::into_owned),
            module: event.module().map(str::to_owned),
            result: event.result.as_str().to_owned(),
            error_code: event.error_code.clone().map(Cow::into_owned),
            duration_micros: event
                .duration
                .map(|duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
            correlation_id: event.correlation_id.clone(),
            trace_id: event.trace_id.clone(),
            span_id: event.span_id.clone(),
            metadata: serde_json::to_string(&event.metadata)?,
        })
    }

    /// SHA-256 over the domain, the hash before, and each part as its length and its bytes; what is absent differs from
    /// what is empty. docs/audit.md describes it for those who check it with a program of their own.
    pub(crate) fn hash(&self, previous: Hash, scope: &str, sequence: u64) -> Hash {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&previous.0);
        text(&mut bytes, scope);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        text(&mut bytes, &self.event_id);
        text(&mut bytes, &self.event);
        bytes.extend_from_slice(&self.time_micros.to_be_bytes());
        text(&mut bytes, &self.actor_id);
        optional(&mut bytes, self.command_id.as_deref());
        optional(&mut bytes, self.module.as_deref());
        text(&mut bytes, &self.result);
        optional(&mut bytes, self.error_code.as_deref());
        match self.duration_micros {
            Some(duration) => {
                bytes.push(1);
                bytes.extend_from_slice(&duration.to_be_bytes());
            }
            None => bytes.push(0),
        }
        optional(&mut bytes, self.correlation_id.as_deref());
        optional(&mut bytes, self.trace_id.as_deref());
        optional(&mut bytes, self.span_id.as_deref());
        text(&mut bytes, &self.metadata);
        Hash::of(&bytes)
    }

    fn into_event(self, scope: Scope) -> Result<Event, sqlx::Error> {
        Ok(Event {
            id: self.event_id.parse().map_err(decode)?,
            name: self.event.into(),
            time: Timestamp::from_microsecond(self.time_micros).map_err(decode)?,
            tenant: scope.into_tenant(),
            actor: self.actor_id,
            command: self.command_id.map(Cow::Owned),
            result: self.result.parse().map_err(decode)?,
            error_code: self.error_code.map(Cow::Owned),
            duration: self.duration_micros.map(|micros| Duration::from_micros(micros.unsigned_abs())),
            correlation_id: self.correlation_id,
            trace_id: self.trace_id,
            span_id: self.span_id,
            metadata: serde_json::from_str(&self.metadata).map_err(decode)?,
            closes_call: false,
        })
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn optional(bytes: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => {
            bytes.push(1);
            text(bytes, value);
        }
        None => bytes.push(0),
    }
}

impl Link {
    /// Reads a row of [`COLUMNS`].
    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            sequence: row.try_get(0)?,
            hash: row.try_get(1)?,
            record: Record {
                event_id: row.try_get(2)?,
                event: row.try_get(3)?,
                time_micros: row.try_get(4)?,
                actor_id: row.try_get(5)?,
                command_id: row.try_get(6)?,
                module: row.try_get(7)?,
                result: row.try_get(8)?,
                error_code: row.try_get(9)?,
                duration_micros: row.try_get(10)?,
                correlation_id: row.try_get(11)?,
                trace_id: row.try_get(12)?,
                span_id: row.try_get(13)?,
                metadata: row.try_get(14)?,
            },
            scope: row.try_get(15)?,
        })
    }

    pub(crate) fn into_entry(self) -> Result<Entry, sqlx::Error> {
        let scope = self.scope.parse().map_err(|error| decode(crate::UnknownScope::clone(&error)))?;
        Ok(Entry {
            event: self.record.into_event(scope)?,
            sequence: u64::try_from(self.sequence).map_err(decode)?,
            hash: self.hash.parse().map_err(decode)?,
        })
    }
}

pub(crate) fn decode(error: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// What the database keeps of a sequence. It is never near the end of either type.
pub(crate) fn stored(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = MalformedHash;

    fn from_str(text: &str) -> Result<Self, MalformedHash> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| MalformedHash)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(MalformedHash);
        }
        Ok(Self(hash))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = MalformedHash;

    fn try_from(text: String) -> Result<Self, MalformedHash> {
        text.parse()
    }
}
