use audit::{Consume, Delivery, Outcome, SinkError};
use jiff::Timestamp;

use super::{
    collector::Collector,
    nanos,
    proto::{AnyValue, KeyValue, LogRecord, Logs, Value},
};

/// Sends audit events to a collector, as log records.
pub(crate) struct OtlpLogs(pub(crate) Collector);

impl Consume for OtlpLogs {
    async fn deliver(&mut self, events: &[Delivery], now: Timestamp) -> Result<(), SinkError> {
        let records = events.iter().map(|event| record(event, now));
        let records = records.collect::<Result<_, _>>().map_err(|error| SinkError::Other(error.into()))?;
        let request = Logs::of(self.0.resource(), records);
        self.0.send("logs", &request).await.map_err(|error| SinkError::Other(error.into()))
    }
}

/// The event as JSON is the body; what a query asks for is an attribute, too.
fn record(event: &Delivery, now: Timestamp) -> Result<LogRecord, serde_json::Error> {
    let said = &event.entry.event;
    let (severity_number, severity_text) = match said.result {
        Outcome::Started | Outcome::Succeeded => (9, "INFO"),
        Outcome::Failed | Outcome::PolicyDenied | Outcome::AuthFailure | Outcome::Warning => (13, "WARN"),
    };
    let id = |hexadecimal: Option<&String>| hexadecimal.and_then(|id| hex::decode(id).ok());
    let sequence = i64::try_from(event.entry.sequence).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::text("chancery.audit.id", said.id.to_string()),
        KeyValue::text("chancery.audit.result", said.result.as_str()),
        KeyValue::text("chancery.audit.actor", &*said.actor),
        KeyValue::of("chancery.audit.sequence", Value::Integer(sequence)),
        KeyValue::of("chancery.audit.again", Value::Flag(event.again)),
    ];
    let stated = [
        ("chancery.tenant.id", said.tenant.as_deref()),
        ("chancery.command.id", said.command.as_deref()),
        ("chancery.audit.error_code", said.error_code.as_deref()),
    ];
    attributes.extend(stated.into_iter().filter_map(|(key, text)| Some(KeyValue::text(key, text?))));
    Ok(LogRecord {
        time_unix_nano: nanos(said.time),
        observed_time_unix_nano: nanos(now),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::Text(serde_json::to_string(event)?)) }),
        attributes,
        trace_id: id(said.trace_id.as_ref()).unwrap_or_default(),
        span_id: id(said.span_id.as_ref()).unwrap_or_default(),
        event_name: said.name.clone().into_owned(),
    })
}
