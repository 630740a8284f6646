use std::fmt;

use kernel::Ambient;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    Outbox, Signal, nanos,
    proto::{AnyValue, KeyValue, LogRecord, Value},
};

/// Sends what is logged to a collector. It takes what the log's filter lets through.
pub(crate) struct LogLayer {
    pub(super) outbox: Outbox,
    pub(super) ambient: Ambient,
}

/// Who sends logs, and what that stands on: telling of it would make more of it.
const OWN: [&str; 6] = ["h2", "hyper", "hyper_util", "native_tls", "reqwest", "tokio"];
const SENDING: &str = "chancery::telemetry";

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            let mut said = Said::default();
            attributes.record(&mut said);
            span.extensions_mut().insert(said.attributes);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let target = event.metadata().target();
        let module = target.split("::").next().unwrap_or(target);
        if OWN.contains(&module) || target.starts_with(SENDING) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        said.attributes.push(KeyValue::text("target", target));
        for span in cx.event_scope(event).into_iter().flatten() {
            if let Some(attributes) = span.extensions().get::<Vec<KeyValue>>() {
                said.attributes.extend_from_slice(attributes);
            }
        }
        let level = *event.metadata().level();
        let now = nanos(self.ambient.now());
        self.outbox.put(Signal::Log(LogRecord {
            time_unix_nano: now,
            observed_time_unix_nano: now,
            severity_number: severity(level),
            severity_text: level.as_str().to_owned(),
            body: Some(AnyValue { value: Some(Value::Text(said.message)) }),
            attributes: said.attributes,
            ..LogRecord::default()
        }));
    }
}

fn severity(level: Level) -> i32 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    }
}

/// The fields of an event or a span.
#[derive(Default)]
struct Said {
    message: String,
    attributes: Vec<KeyValue>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            (name, value) => self.attributes.push(KeyValue::of(name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Flag(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Integer(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Number(value));
    }
}
