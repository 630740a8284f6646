//! Audit: what happened, by whom, with what result, kept.
//!
//! The column hands every outcome to a [`Recorder`] and goes on; one task behind it writes to a [`Sink`] and tells
//! `tracing` (target `audit`). [`AuditLog`] reads back what [`SqlSink`] has written, and a [`Consumer`] delivers it
//! to whoever else is to have it.
//!
//! - **What was written is proved**: each event is linked to the one before in its scope by a hash. [`AuditLog::verify`]
//!   names the first broken link, sealed checkpoints betray what was cut off, and an export proves itself elsewhere.
//! - **A failing sink changes no decision and no result** (semantics 6.4). Events wait in a bounded backlog, what does not
//!   fit is counted, and both are visible.
//! - **No secret gets in**: metadata takes [`SafeValue`]s only, and values under a suspicious key are redacted before any
//!   sink sees them.
//! - **An event without a tenant belongs to the platform**; it is never dropped for want of one.

mod chain;
mod consumer;
mod event;
mod export;
mod heads;
mod interrupted;
mod lines;
mod log;
mod metadata;
mod recorder;
mod scope;
mod seal;
mod sink;
mod sql;
mod syslog;
mod tail;
mod verify;
mod webhook;

pub use chain::{Entry, Hash, MalformedHash};
pub use consumer::{Consume, Consumer, ConsumerError, Delivering, Delivery, Round};
pub use event::{Event, Outcome, UnknownOutcome};
pub use export::{ExportError, ExportVerification, ExportedChain, verify_export};
pub use lines::JsonLines;
pub use log::{AuditLog, Cursor, Filter, MalformedCursor, Page};
pub use metadata::{Metadata, SafeValue};
pub use recorder::{Limits, Overflow, Recorder, Report, Room};
pub use scope::{Scope, UnknownScope};
pub use seal::{AuditError, MalformedMark, Mark, Pruned, Seal};
pub use sink::{MemorySink, Sink, SinkError};
pub use sql::{MIGRATIONS, SqlSink};
pub use syslog::{Syslog, SyslogError, SyslogTrust};
pub use tail::Position;
pub use verify::{Broken, Defect, Range, Seals, Verification};
pub use webhook::{Webhook, WebhookError};
