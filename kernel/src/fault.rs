use std::{any::Any, fmt, sync::Arc, time::Duration};

use serde_json::Value;

use crate::Problem;

/// A module's failure of any type.
pub type BoxProblem = Box<dyn Problem>;

/// Why a call has no answer. `E` is the module's own error when the command is known by type, and [`BoxProblem`] when
/// it is dispatched by id.
#[derive(Debug)]
pub enum Fault<E> {
    /// There is no such command.
    Unknown(String),
    /// The input is not what the command takes.
    Input(InputError),
    /// Something that stands before the handler refused; the handler never ran.
    Refused(Box<Refusal>),
    /// The handler ran and failed.
    Failed(E),
    /// The handler was stopped at the call's deadline.
    DeadlineExceeded,
    /// The handler panicked. The process goes on.
    Panicked,
    /// Something of ours failed around the handler, which may have run.
    Internal(BoxProblem),
}

impl<E> Fault<E> {
    /// The same fault with another error.
    pub fn map<F>(self, convert: impl FnOnce(E) -> F) -> Fault<F> {
        match self {
            Self::Unknown(id) => Fault::Unknown(id),
            Self::Input(error) => Fault::Input(error),
            Self::Refused(refusal) => Fault::Refused(refusal),
            Self::Failed(error) => Fault::Failed(convert(error)),
            Self::DeadlineExceeded => Fault::DeadlineExceeded,
            Self::Panicked => Fault::Panicked,
            Self::Internal(problem) => Fault::Internal(problem),
        }
    }

    /// The refusal, where there was one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl Fault<BoxProblem> {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown_command",
            Self::Input(_) => "invalid_input",
            Self::Refused(refusal) => refusal.code,
            Self::Failed(problem) | Self::Internal(problem) => problem.code(),
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Panicked => "internal",
        }
    }

    /// How long the caller should wait before it tries again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Failed(problem) | Self::Internal(problem) => problem.retry_after(),
            Self::Unknown(_) | Self::Input(_) | Self::DeadlineExceeded | Self::Panicked => None,
        }
    }

    /// What kind of fault it is.
    pub fn category(&self) -> Category {
        match self {
            Self::Unknown(_) => Category::NotFound,
            Self::Input(_) => Category::Validation,
            Self::Refused(refusal) => refusal.category,
            Self::Failed(problem) | Self::Internal(problem) => problem.category(),
            Self::DeadlineExceeded => Category::Unavailable,
            Self::Panicked => Category::Internal,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "there is no command `{id}`"),
            Self::Input(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::DeadlineExceeded => f.write_str("the call was stopped at its deadline"),
            Self::Panicked => f.write_str("the handler panicked"),
            Self::Internal(problem) => problem.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for Fault<E> {}

impl<E> From<Refusal> for Fault<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl<E> From<InputError> for Fault<E> {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

/// The input does not have the form the command's schema states.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("field `{path}`: ") })]
pub struct InputError {
    path: String,
    message: String,
}

impl InputError {
    /// What is wrong, and the path of the field it is wrong with; an empty path means the input as a whole.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// As [`new`](Self::new), without the texts of the input: what is in the wrong place may be a secret.
    pub(crate) fn of(input: &Value, path: impl Into<String>, mut message: String) -> Self {
        let mut texts = Vec::new();
        collect(input, &mut texts);
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        for text in texts {
            for (quoted, hidden) in [(format!("{text:?}"), "\"…\""), (format!("`{text}`"), "`…`")] {
                message = message.replace(&quoted, hidden);
            }
            if text.len() >= TELLING {
                message = message.replace(text, "…");
            }
        }
        Self::new(path, message)
    }

    /// The path of the field.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A text of this length stands in a message by no chance.
const TELLING: usize = 8;

fn collect<'v>(input: &'v Value, texts: &mut Vec<&'v str>) {
    match input {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A refusal by something that stands before the handler.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// A stable code.
    pub code: &'static str,
    /// What kind of refusal it is.
    pub category: Category,
    /// For people.
    pub message: String,
    /// Facts that are safe to show.
    pub details: Vec<(&'static str, Value)>,
    /// How long the caller should wait before it tries again.
    pub retry_after: Option<Duration>,
    /// The refusing gate's own value, for callers in the process.
    pub cause: Option<Arc<dyn Any + Send + Sync>>,
}

impl Refusal {
    /// A refusal that says only this.
    pub fn new(code: &'static str, category: Category, message: impl Into<String>) -> Self {
        Self { code, category, message: message.into(), details: Vec::new(), retry_after: None, cause: None }
    }

    /// The gate's own value, if it is of this type.
    pub fn cause<T: Any>(&self) -> Option<&T> {
        self.cause.as_ref()?.downcast_ref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Kinds of fault, independent of any transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// The input is wrong.
    Validation,
    /// The caller is not known, or not well enough.
    Unauthorized,
    /// The caller is known and may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The present state does not admit it.
    Conflict,
    /// Too much of it.
    RateLimited,
    /// More would have to be bought.
    PaymentRequired,
    /// Not now.
    Unavailable,
    /// A defect of ours.
    Internal,
}

impl Category {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "VALIDATION",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::RateLimited => "RATE_LIMITED",
            Self::PaymentRequired => "PAYMENT_REQUIRED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}
