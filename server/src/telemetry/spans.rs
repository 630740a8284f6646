use pipeline::{Ended, Ending};

use super::{
    Outbox, Signal, nanos,
    proto::{KeyValue, Span, Status},
};

/// Where a span of each call goes.
pub(crate) struct Spans(pub(super) Outbox);

impl Spans {
    /// Tells of a call of the command with this id.
    pub(crate) fn ended(&self, id: &'static str, call: &Ended<'_>) {
        let Some(own) = call.cx.trace() else { return };
        let mut attributes = vec![
            KeyValue::text("chancery.command.id", id),
            KeyValue::text("chancery.outcome", call.ending.as_str()),
            KeyValue::text("chancery.correlation.id", call.cx.correlation().as_str()),
        ];
        // Whoever is not let in is told of no decision.
        let decision = match call.ending {
            Ending::Denied(reason) => Some(reason.as_str()),
            Ending::Succeeded | Ending::Failed => Some("ALLOWED"),
            Ending::Unauthorized | Ending::Refused | Ending::Cancelled => None,
        };
        attributes.extend(decision.map(|decision| KeyValue::text("chancery.decision", decision)));
        if let Some(tenant) = call.cx.tenant() {
            attributes.push(KeyValue::text("chancery.tenant.id", tenant.to_string()));
        }
        let failed = matches!(call.ending, Ending::Failed | Ending::Cancelled);
        self.0.put(Signal::Span(Span {
            trace_id: own.trace.to_vec(),
            span_id: own.span.to_vec(),
            parent_span_id: call.parent.map(|parent| parent.span.to_vec()).unwrap_or_default(),
            name: format!("command {id}"),
            kind: Span::INTERNAL,
            start_time_unix_nano: nanos(call.started),
            end_time_unix_nano: nanos(call.ended),
            attributes,
            status: failed.then_some(Status::ERROR),
        }));
    }
}
