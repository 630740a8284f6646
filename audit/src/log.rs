use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::sqlx::{self, AssertSqlSafe};
use store::{Store, StoreError};
use uuid::Uuid;

use crate::chain::{COLUMNS, Link, stored};
use crate::event::fit;
use crate::seal::Sealing;
use crate::{Entry, Outcome, Scope, Seal};

/// The most events of one page.
const MAX_PAGE: u32 = 1000;

/// Reads what [`SqlSink`](crate::SqlSink) has written, and proves it.
#[derive(Debug, Clone)]
pub struct AuditLog {
    pub(crate) store: Store,
    pub(crate) sealing: Sealing,
}

/// Which events; all that is given must hold, and the default is all events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whom they concern.
    pub scope: Option<Scope>,
    /// The command id.
    pub command: Option<String>,
    /// The first segment of the command id.
    pub module: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The W3C trace id.
    pub trace: Option<String>,
    /// How it ended.
    pub result: Option<Outcome>,
    /// The earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest time, inclusive.
    pub to: Option<Timestamp>,
}

/// Some events, newest first: by their time, and those of one scope as they were recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// At most as many as were asked for.
    pub events: Vec<Entry>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// The place after an event. As text it is opaque, and keeps its meaning while events are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Cursor {
    time: i64,
    id: Uuid,
    sequence: i64,
}

/// The text is no cursor that a page has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of an earlier page")]
pub struct MalformedCursor;

impl AuditLog {
    /// Uses the tables of [`MIGRATIONS`](crate::MIGRATIONS). Nothing is sealed, and no seal is checked.
    pub fn new(store: Store) -> Self {
        Self { store, sealing: Sealing(None) }
    }

    /// The same log with a key: its checkpoints are sealed, and seals are checked.
    #[must_use]
    pub fn sealed_by(self, seal: impl Seal) -> Self {
        Self { sealing: Sealing(Some(Arc::new(seal))), ..self }
    }

    /// The newest events that pass the filter, older than the cursor: between 1 and 1000, `limit` if it lies there.
    pub async fn query(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let after = after.unwrap_or(Cursor::BEFORE_ALL);
        let mut wanted = Conditions::default();
        // Within a chain its order is that of recording, and has an index; the log as a whole has only times.
        let order = if filter.scope.is_some() {
            wanted.require("sequence <", [Value::Number(after.sequence)]);
            "sequence DESC"
        } else {
            wanted.require(
                "(time, id) <",
                [Value::Number(after.time), Value::Text(after.id.to_string().into())],
            );
            "time DESC, id DESC"
        };
        filter.narrow(&mut wanted);

        // Made of the literals of this file only; all that users send is bound. One more row than asked for tells whether
        // there is another page.
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_event WHERE {} ORDER BY {order} LIMIT {}",
            wanted.texts.join(" AND "),
            limit + 1
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in wanted.values {
            query = match value {
                Value::Text(text) => query.bind(text.into_owned()),
                Value::Number(number) => query.bind(number),
            };
        }
        let rows = query.fetch_all(self.store.reader()).await?;
        let more = rows.len() > limit;
        let events = rows.iter().take(limit).map(|row| Link::read(row)?.into_entry());
        let events = events.collect::<Result<Vec<_>, _>>()?;
        let next = events.last().filter(|_| more).map(Cursor::after);
        Ok(Page { events, next })
    }
}

/// Conditions whose placeholders are numbered as their values come.
#[derive(Default)]
struct Conditions<'a> {
    texts: Vec<String>,
    values: Vec<Value<'a>>,
}

enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl<'a> Conditions<'a> {
    fn require<const N: usize>(&mut self, condition: &'static str, values: [Value<'a>; N]) {
        let first = self.values.len() + 1;
        let placeholders: Vec<_> = (first..first + N).map(|n| format!("${n}")).collect();
        self.texts.push(format!("{condition} ({})", placeholders.join(", ")));
        self.values.extend(values);
    }
}

impl Filter {
    fn narrow<'a>(&'a self, wanted: &mut Conditions<'a>) {
        if let Some(scope) = &self.scope {
            wanted.require("scope =", [Value::Text(scope.key())]);
        }
        let texts = [
            ("command =", self.command.as_deref()),
            ("module =", self.module.as_deref()),
            ("actor =", self.actor.as_deref()),
            ("trace_id =", self.trace.as_deref()),
            ("result =", self.result.map(Outcome::as_str)),
        ];
        for (condition, text) in texts {
            if let Some(text) = text {
                wanted.require(condition, [Value::Text(fit(text))]);
            }
        }
        for (condition, time) in [("time >=", self.from), ("time <=", self.to)] {
            if let Some(time) = time {
                wanted.require(condition, [Value::Number(time.as_microsecond())]);
            }
        }
    }
}

impl Cursor {
    const BEFORE_ALL: Self = Self { time: i64::MAX, id: Uuid::nil(), sequence: i64::MAX };

    fn after(Entry { event, sequence, .. }: &Entry) -> Self {
        Self { time: event.time.as_microsecond(), id: event.id, sequence: stored(*sequence) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}{}", self.time, self.sequence, self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (time, rest) = text.split_at_checked(16).ok_or(MalformedCursor)?;
        let (sequence, id) = rest.split_at_checked(16).ok_or(MalformedCursor)?;
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| MalformedCursor);
        Ok(Self {
            time: number(time)?.cast_signed(),
            sequence: number(sequence)?.cast_signed(),
            id: Uuid::try_parse(id).map_err(|_| MalformedCursor)?,
        })
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl TryFrom<String> for Cursor {
    type Error = MalformedCursor;

    fn try_from(text: String) -> Result<Self, MalformedCursor> {
        text.parse()
    }
}
