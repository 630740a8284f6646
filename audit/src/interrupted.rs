use jiff::{SignedDuration, Timestamp};
use store::OpenCall;

use crate::heads::Remembered;
use crate::recorder::trace;
use crate::sql::{Repeats, append};
use crate::{AuditError, AuditLog, Event, Metadata, Outcome, SafeValue};

/// How long after the latest a call could end its event is waited for: clocks differ, and a batch takes its time.
const MARGIN: SignedDuration = SignedDuration::from_secs(15);

impl AuditLog {
    /// Records the calls that committed a change and had to end before `now`, but whose end nobody has recorded: their
    /// process died, or their event was lost. Each becomes one `command.interrupted`, whoever asks and however many do at
    /// once. Answers how many are recorded by this.
    ///
    /// What the call would have answered is not known. Where its event comes after all, this one stays.
    pub async fn record_interrupted(&self, now: Timestamp) -> Result<usize, AuditError> {
        let mut recorded = 0;
        loop {
            let calls = OpenCall::overdue(&self.store, now.saturating_sub(MARGIN).unwrap_or(now)).await?;
            if calls.is_empty() {
                return Ok(recorded);
            }
            let events: Vec<_> = calls.into_iter().map(|call| interrupted(call, now).fitted()).collect();
            // Whose event is there by now, is closed without another one.
            let there = append(&self.store, &mut Remembered::default(), &events, Repeats::Likely).await?;
            for event in events.iter().filter(|event| !there.contains(&event.id.to_string())) {
                trace(event);
                recorded += 1;
            }
        }
    }
}

fn interrupted(call: OpenCall, now: Timestamp) -> Event {
    Event {
        id: call.id,
        name: "command.interrupted".into(),
        time: now,
        tenant: call.tenant,
        actor: call.actor,
        command: Some(call.command.into()),
        result: Outcome::Warning,
        error_code: Some("outcome_unknown".into()),
        duration: None,
        correlation_id: Some(call.correlation_id),
        trace_id: call.trace_id,
        span_id: call.span_id,
        metadata: Metadata::new().with("startedAt", SafeValue::text(call.started.to_string())),
        closes_call: true,
    }
}
