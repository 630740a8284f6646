//! The recorder, with sinks that work, fail and hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chancery_audit::{
    Event, Limits, MemorySink, Metadata, Outcome, Overflow, Recorder, SafeValue, Sink, SinkError,
};
use jiff::Timestamp;
use uuid::Uuid;

const SMALL: Limits = Limits {
    queue: 4,
    backlog: 8,
    overflow: Overflow::Drop,
    batch: 3,
    patience: Duration::from_millis(200),
    settling: Duration::from_secs(2),
    retry: Duration::from_millis(10),
};

fn event(n: u128) -> Event {
    Event {
        id: Uuid::from_u128(n),
        name: "license.command.denied".into(),
        time: Timestamp::UNIX_EPOCH,
        tenant: None,
        actor: "ada".to_owned(),
        command: Some("tenancy.tenants.create".into()),
        result: Outcome::PolicyDenied,
        error_code: Some("NOT_ENTITLED".into()),
        duration: Some(Duration::from_millis(12)),
        correlation_id: None,
        trace_id: None,
        span_id: None,
        metadata: Metadata::new(),
        closes_call: false,
    }
}

/// A memory sink that can be made to fail.
#[derive(Clone, Default)]
struct Moody {
    kept: MemorySink,
    failing: Arc<AtomicBool>,
}

impl Moody {
    fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    fn kept(&self) -> Vec<u128> {
        self.kept.events().iter().map(|event| event.id.as_u128()).collect()
    }
}

impl Sink for Moody {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(SinkError::Other("disk full".into()));
        }
        self.kept.write(events).await
    }
}

struct Hanging;

impl Sink for Hanging {
    async fn write(&mut self, _: &[Event]) -> Result<(), SinkError> {
        std::future::pending().await
    }
}

async fn until(seen: impl Fn() -> bool) {
    for _ in 0..500 {
        if seen() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within five seconds");
}

#[tokio::test]
async fn a_flush_waits_for_everything_recorded_before() {
    let sink = MemorySink::new();
    let recorder = Recorder::start(sink.clone(), SMALL);
    for n in 0..20 {
        recorder.record(event(n)).await;
    }
    recorder.flush().await;
    assert_eq!(sink.events(), (0..20).map(event).collect::<Vec<_>>());
    assert_eq!((recorder.backlog(), recorder.dropped(), recorder.failing()), (0, 0, None));
}

#[tokio::test]
async fn settling_waits_for_ones_own_events_and_not_for_those_of_others_behind_them() {
    let sink = MemorySink::new();
    let recorder = Recorder::start(sink.clone(), SMALL);
    let others = recorder.clone();
    let stream = tokio::spawn(async move {
        for n in 1000.. {
            others.record(event(n)).await;
        }
    });
    for n in 0..20 {
        recorder.record(event(n)).await;
        assert!(recorder.settle().await);
        assert!(sink.events().contains(&event(n)), "what is settled is written");
    }
    stream.abort();
    assert_eq!(recorder.unsettled(), 0);
}

#[tokio::test]
async fn nobody_settles_with_a_sink_that_fails_and_it_is_counted() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), SMALL);
    recorder.record(event(1)).await;
    until(|| recorder.failing().is_some()).await;
    assert!(!recorder.settle().await);
    assert_eq!(recorder.unsettled(), 1);
    sink.fail(false);
    recorder.flush().await;
    assert!(recorder.settle().await);
    let hanging = Recorder::start(Hanging, Limits { settling: Duration::from_millis(20), ..SMALL });
    hanging.record(event(1)).await;
    assert!(!hanging.settle().await);
}

#[tokio::test]
async fn a_failing_sink_is_visible_and_caught_up_with() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), SMALL);
    for n in 0..5 {
        recorder.record(event(n)).await;
    }
    until(|| recorder.failing().is_some()).await;
    assert_eq!(recorder.failing().unwrap(), "the audit sink failed: disk full");
    assert_eq!(recorder.backlog(), 5);
    sink.fail(false);
    recorder.flush().await;
    assert_eq!(sink.kept(), [0, 1, 2, 3, 4]);
    assert_eq!((recorder.backlog(), recorder.dropped(), recorder.failing()), (0, 0, None));
}

#[tokio::test]
async fn a_failing_sink_holds_no_caller_up_and_what_does_not_fit_is_counted() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), SMALL);
    for n in 0..50 {
        recorder.record(event(n)).await;
    }
    until(|| recorder.dropped() == 42).await;
    assert_eq!(recorder.backlog(), SMALL.backlog);
    sink.fail(false);
    recorder.flush().await;
    assert_eq!(sink.kept(), (0..8).collect::<Vec<_>>(), "the oldest are kept, in order");
}

#[tokio::test]
async fn where_a_full_backlog_blocks_callers_wait_and_nothing_is_lost() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), Limits { overflow: Overflow::Block, ..SMALL });
    let caller = tokio::spawn({
        let recorder = recorder.clone();
        async move {
            for n in 0..50 {
                recorder.record(event(n)).await;
            }
        }
    });
    // As many as the backlog, one batch that came in with the last of them, and the queue.
    let most = SMALL.backlog + SMALL.batch + SMALL.queue;
    until(|| recorder.failing().is_some() && recorder.backlog() >= SMALL.backlog + SMALL.queue).await;
    assert!(recorder.backlog() <= most && !caller.is_finished(), "{}", recorder.backlog());
    sink.fail(false);
    caller.await.unwrap();
    recorder.flush().await;
    assert_eq!((sink.kept(), recorder.dropped()), ((0..50).collect(), 0));
}

#[tokio::test]
async fn a_full_backlog_that_blocks_does_not_block_the_end() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), Limits { overflow: Overflow::Block, ..SMALL });
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let recorder = recorder.clone();
            tokio::spawn(async move { recorder.record(event(n)).await })
        })
        .collect();
    until(|| recorder.failing().is_some() && recorder.backlog() >= SMALL.backlog + SMALL.queue).await;
    recorder.close().await;
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((sink.kept(), recorder.backlog(), recorder.dropped()), (vec![], 0, 50), "all are counted");
}

#[tokio::test]
async fn a_stream_of_events_does_not_keep_the_sink_from_being_tried_again() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), SMALL);
    let stream = tokio::spawn({
        let recorder = recorder.clone();
        async move {
            for n in 0.. {
                recorder.record(event(n)).await;
            }
        }
    });
    until(|| recorder.failing().is_some()).await;
    sink.fail(false);
    until(|| recorder.failing().is_none()).await;
    stream.abort();
}

#[tokio::test]
async fn a_hanging_sink_is_a_failing_sink() {
    let recorder = Recorder::start(Hanging, SMALL);
    recorder.record(event(1)).await;
    until(|| recorder.failing().is_some()).await;
}

#[tokio::test]
async fn a_drop_guard_never_waits_and_counts_what_it_drops() {
    let recorder = Recorder::start(Hanging, SMALL);
    // Nothing yields here, so the task has not emptied the queue of four.
    for n in 0..6 {
        recorder.try_record(event(n));
    }
    assert_eq!((recorder.backlog(), recorder.dropped()), (4, 2));
}

#[tokio::test]
async fn closing_writes_what_is_left_and_later_events_are_counted() {
    let sink = Moody::default();
    let recorder = Recorder::start(sink.clone(), SMALL);
    let clone = recorder.clone();
    for n in 0..4 {
        recorder.try_record(event(n));
    }
    recorder.close().await;
    assert_eq!(sink.kept(), [0, 1, 2, 3]);
    clone.record(event(9)).await;
    clone.flush().await;
    clone.close().await;
    assert_eq!((clone.backlog(), clone.dropped()), (0, 1));
}

#[tokio::test]
async fn closing_gives_a_failing_sink_one_last_chance() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), Limits { retry: Duration::from_hours(1), ..SMALL });
    recorder.record(event(1)).await;
    until(|| recorder.failing().is_some()).await;
    sink.fail(false);
    recorder.close().await;
    assert_eq!(sink.kept(), [1]);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_sink_that_stays_broken() {
    let sink = Moody::default();
    sink.fail(true);
    let recorder = Recorder::start(sink.clone(), SMALL);
    recorder.record(event(1)).await;
    recorder.close().await;
    assert_eq!((sink.kept(), recorder.backlog(), recorder.dropped()), (vec![], 0, 1));
}

#[tokio::test]
async fn secrets_are_redacted_before_any_sink_whatever_their_key_is_spelled() {
    let sink = MemorySink::new();
    let recorder = Recorder::start(sink.clone(), SMALL);
    let keys = [
        "password",
        "Password",
        "new_password",
        "token",
        "accessToken",
        "client-secret",
        "credentials",
        "api_key",
        "apiKey",
        "API-KEY",
        "jwt",
        "Authorization",
        "bearer",
        "private_key",
        "privateKey",
        "private key",
    ];
    let metadata =
        keys.iter().fold(Metadata::new(), |metadata, key| metadata.with(key, SafeValue::text("hunter2")));
    recorder.record(Event { metadata: metadata.with("license", SafeValue::text("L-7")), ..event(1) }).await;
    recorder.flush().await;
    let kept = serde_json::to_value(&sink.events()[0].metadata).unwrap();
    for key in keys {
        assert_eq!(kept[key], "[REDACTED]", "{key}");
    }
    assert_eq!(kept["license"], "L-7");
}

#[test]
fn metadata_is_bounded_also_when_it_is_read() {
    let long = "ä".repeat(10_000);
    let many = (0..100).fold(Metadata::new(), |metadata, n| metadata.with(&format!("{n:03}"), n.into()));
    assert_eq!(many.iter().count(), 32);
    let many = many.with("000", true.into()).with("full", true.into());
    assert_eq!(serde_json::to_value(&many).unwrap()["000"], true, "a fact can still be replaced");
    assert_eq!(many.iter().count(), 32);

    let read: Metadata =
        serde_json::from_value(serde_json::json!({ "note": long, "token": "hunter2" })).unwrap();
    let read = serde_json::to_value(&read).unwrap();
    assert_eq!(read["note"].as_str().unwrap().len(), 1024);
    assert_eq!(read["token"], "[REDACTED]");
}

#[test]
fn an_event_is_spelled_as_the_audit_api_says() {
    let event = Event { metadata: Metadata::new().with("licenseId", SafeValue::text("L-7")), ..event(7) };
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "eventId": "00000000-0000-0000-0000-000000000007",
            "event": "license.command.denied",
            "timestamp": 0,
            "tenantId": null,
            "actorId": "ada",
            "commandId": "tenancy.tenants.create",
            "result": "policy-denied",
            "errorCode": "NOT_ENTITLED",
            "durationMs": 12,
            "correlationId": null,
            "traceId": null,
            "spanId": null,
            "metadata": { "licenseId": "L-7" },
        })
    );
    assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
}

#[test]
fn an_outcome_is_read_as_it_is_written() {
    for text in ["started", "succeeded", "failed", "policy-denied", "auth-failure", "warning"] {
        let outcome: Outcome = text.parse().unwrap();
        assert_eq!(outcome.to_string(), text);
        assert_eq!(serde_json::to_value(outcome).unwrap(), text);
    }
    assert_eq!(
        "policy_denied".parse::<Outcome>().unwrap_err().to_string(),
        "`policy_denied` is no audit result"
    );
}
