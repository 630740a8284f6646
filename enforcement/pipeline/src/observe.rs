//! What may be seen of calls while they are made: for metrics and traces.

use descriptors::denial::Reason;
use jiff::Timestamp;
use kernel::{CommandIndex, Cx, TraceContext};

/// Sees every call end, and changes nothing. It stands on the way of each call: it neither waits nor fails.
pub trait Observe: Send + Sync + 'static {
    /// Whether calls that came without a trace begin one.
    fn traces(&self) -> bool;

    /// A call has ended.
    fn ended(&self, call: &Ended<'_>);
}

/// Sees nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn traces(&self) -> bool {
        false
    }

    fn ended(&self, _call: &Ended<'_>) {}
}

/// A call that has ended.
#[derive(Debug)]
pub struct Ended<'c> {
    /// Which command.
    pub command: CommandIndex,
    /// What surrounded it. Its trace, where it has one, names the call's own span.
    pub cx: &'c Cx,
    /// The span that called, where one did.
    pub parent: Option<TraceContext>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub ending: Ending,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was done.
    Succeeded,
    /// The license or a quota refused it.
    Denied(Reason),
    /// The caller is not known, or may not.
    Unauthorized,
    /// A policy refused it.
    Refused,
    /// It was tried and not done.
    Failed,
    /// Nobody waited for its end.
    Cancelled,
}

impl Ending {
    /// How many there are, denials counted once.
    pub const COUNT: usize = 6;

    /// As metrics and traces spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Denied(_) => "denied",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Its place among [`COUNT`](Self::COUNT).
    pub const fn index(self) -> usize {
        match self {
            Self::Succeeded => 0,
            Self::Denied(_) => 1,
            Self::Unauthorized => 2,
            Self::Refused => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
        }
    }
}
