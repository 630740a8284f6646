use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Metadata;

/// The longest text of an event, in bytes; a longer one is cut.
pub(crate) const MAX_TEXT: usize = 1024;

/// One thing that happened (semantics 6.1). The JSON names are those of the audit API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Unique. That of a call that may have changed something is the call's own, so that no other event tells its end.
    #[serde(rename = "eventId")]
    pub id: Uuid,
    /// What happened, e.g. `license.command.denied`.
    #[serde(rename = "event")]
    pub name: Cow<'static, str>,
    /// When. In JSON milliseconds since 1970; kept to the microsecond.
    #[serde(rename = "timestamp", with = "jiff::fmt::serde::timestamp::millisecond::required")]
    #[schemars(with = "i64")]
    pub time: Timestamp,
    /// Whom it concerns; `None` is the platform.
    #[serde(rename = "tenantId")]
    pub tenant: Option<String>,
    /// Who did it.
    #[serde(rename = "actorId")]
    pub actor: String,
    /// The command id, if it was a command.
    #[serde(rename = "commandId")]
    pub command: Option<Cow<'static, str>>,
    /// How it ended.
    pub result: Outcome,
    /// The code of the error or the reason of the denial.
    pub error_code: Option<Cow<'static, str>>,
    /// How long it took. In JSON whole milliseconds; kept to the microsecond.
    #[serde(rename = "durationMs", with = "milliseconds")]
    #[schemars(with = "Option<u64>")]
    pub duration: Option<Duration>,
    /// What ties the events of one request together.
    pub correlation_id: Option<String>,
    /// W3C trace id, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// W3C span id, 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// More about it; nothing secret.
    #[serde(default)]
    pub metadata: Metadata,
    /// Whether it ends a call that has left a note of what it changed (see [`store::OpenCall`]). Not part of what is kept:
    /// the note goes when the event is written.
    #[serde(skip)]
    pub closes_call: bool,
}

/// How something ended, or that it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It began.
    Started,
    /// It was done.
    Succeeded,
    /// It was tried and not done.
    Failed,
    /// A policy, the license or a quota refused it.
    PolicyDenied,
    /// The caller could not be authenticated, or is not authorised.
    AuthFailure,
    /// Somebody should look at it.
    Warning,
}

/// The text is none of the six outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no audit result")]
pub struct UnknownOutcome(String);

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Started, Self::Succeeded, Self::Failed, Self::PolicyDenied, Self::AuthFailure, Self::Warning];

    /// The spelling in JSON, in the database and in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::PolicyDenied => "policy-denied",
            Self::AuthFailure => "auth-failure",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

impl Event {
    /// The module of the command: the first segment of its id.
    pub fn module(&self) -> Option<&str> {
        self.command.as_deref().and_then(|command| command.split('.').next())
    }

    /// Its span, as the W3C header of that name has it; `None` where it belongs to no trace.
    pub fn traceparent(&self) -> Option<String> {
        let (trace, span) = self.trace_id.as_ref().zip(self.span_id.as_ref())?;
        Some(format!("00-{trace}-{span}-01"))
    }

    /// The event with every text fit to be stored; see [`fit`].
    pub(crate) fn fitted(mut self) -> Self {
        let Self { name, tenant, actor, command, error_code, correlation_id, trace_id, span_id, .. } =
            &mut self;
        let optional = [tenant, correlation_id, trace_id, span_id].into_iter().flatten();
        // What is borrowed is a name in the program.
        let names = [Some(name), command.as_mut(), error_code.as_mut()].into_iter().flatten();
        let made = names.filter_map(|name| if let Cow::Owned(made) = name { Some(made) } else { None });
        for text in optional.chain([actor]).chain(made) {
            if let Cow::Owned(fitting) = fit(text) {
                *text = fitting;
            }
        }
        self
    }
}

/// At most [`MAX_TEXT`] bytes and no NUL, which PostgreSQL cannot store: one unstorable event would hold up all others.
pub(crate) fn fit(text: &str) -> Cow<'_, str> {
    let cut = &text[..text.floor_char_boundary(MAX_TEXT)];
    match cut.contains('\0') {
        true => Cow::Owned(cut.replace('\0', "?")),
        false if cut.len() < text.len() => Cow::Owned(cut.to_owned()),
        false => Cow::Borrowed(text),
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_millis()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
