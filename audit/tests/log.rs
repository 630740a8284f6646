//! What the database keeps, and how it is found again.

use std::time::Duration;

use chancery_audit::{
    AuditLog, Cursor, Event, Filter, Limits, MIGRATIONS, MalformedCursor, Metadata, Outcome, Page, Recorder,
    SafeValue, Scope, Sink as _, SqlSink,
};
use jiff::{SignedDuration, Timestamp};
use store::{Options, Store};
use uuid::Uuid;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 123_456_000);

type Predicate = fn(&Event) -> bool;

fn events_of(page: Page) -> Vec<Event> {
    page.events.into_iter().map(|entry| entry.event).collect()
}

/// The n-th event; ten of them happen in the same second.
fn event(n: u32) -> Event {
    let of = |texts: &[&str]| texts[n as usize % texts.len()].to_owned();
    Event {
        id: Uuid::from_u128(0xabcd_0000 | u128::from(n)),
        name: "command".into(),
        time: NOON + SignedDuration::from_secs(i64::from(n / 10)),
        tenant: (!n.is_multiple_of(3)).then(|| of(&["acme", "globex"])),
        actor: of(&["ada", "bob", "eve", "mallory"]),
        command: (!n.is_multiple_of(5))
            .then(|| of(&["tenancy.tenants.create", "tenancy.tenants.list", "health.live.check"]).into()),
        result: if n.is_multiple_of(2) { Outcome::Succeeded } else { Outcome::PolicyDenied },
        error_code: Some("NOT_ENTITLED".into()),
        duration: Some(Duration::from_micros(u64::from(n))),
        correlation_id: Some("c-1".to_owned()),
        trace_id: Some(format!("{n:032x}")),
        span_id: Some("00f067aa0ba902b7".to_owned()),
        metadata: Metadata::new().with("n", i64::from(n).into()).with("why", SafeValue::text("because")),
        closes_call: false,
    }
}

async fn open(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    store
}

/// A log of a hundred events, and those events, newest first.
async fn hundred(url: &str) -> (AuditLog, Vec<Event>) {
    let store = open(url).await;
    let mut events: Vec<_> = (0..100).map(event).collect();
    SqlSink::new(store.clone()).write(&events).await.unwrap();
    events.reverse();
    (AuditLog::new(store), events)
}

/// What all pages of seven hold, and how many pages that were, while others write.
async fn paged(log: &AuditLog, store: Store, filter: Filter) -> (Vec<Event>, u32) {
    let (mut seen, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = log.query(&filter, next, 7).await.unwrap();
        let cursor = page.next;
        seen.extend(events_of(page));
        let added = [1000, 1001, 1002].map(|n| event(n + pages * 3));
        SqlSink::new(store.clone()).write(&added).await.unwrap();
        pages += 1;
        next = match cursor {
            Some(cursor) => Some(cursor.to_string().parse::<Cursor>().unwrap()),
            None => return (seen, pages),
        };
    }
}

kit::on_both_engines! {
    async fn what_was_recorded_is_read_back_whole_and_newest_first(url: &str) {
        let (log, events) = hundred(url).await;
        let page = log.query(&Filter::default(), None, 1000).await.unwrap();
        assert_eq!(page.next, None);
        assert_eq!(events_of(page), events);
    }

    async fn pages_join_without_gap_or_overlap_while_events_are_added(url: &str) {
        let (log, events) = hundred(url).await;
        assert_eq!(paged(&log, open(url).await, Filter::default()).await, (events, 15));
    }

    async fn pages_of_one_scope_join_as_well(url: &str) {
        let (log, mut events) = hundred(url).await;
        let scope = Some(Scope::Tenant("acme".into()));
        events.retain(|event| event.tenant.as_deref() == Some("acme"));
        assert_eq!(paged(&log, open(url).await, Filter { scope, ..Filter::default() }).await, (events, 5));
    }

    async fn every_filter_narrows(url: &str) {
        let (log, events) = hundred(url).await;
        let all = Filter::default;
        let some = |text: &str| Some(text.to_owned());
        let second = NOON + SignedDuration::from_secs(4);
        let laws: [(Filter, Predicate); 9] = [
            (Filter { scope: Some(Scope::Platform), ..all() }, |e| e.tenant.is_none()),
            (Filter { scope: Some(Scope::Tenant("acme".into())), ..all() }, |e| e.tenant.as_deref() == Some("acme")),
            (Filter { command: some("tenancy.tenants.list"), ..all() }, |e| {
                e.command.as_deref() == Some("tenancy.tenants.list")
            }),
            (Filter { module: some("tenancy"), ..all() }, |e| {
                e.command.as_deref().is_some_and(|command| command.starts_with("tenancy."))
            }),
            (Filter { actor: some("eve"), ..all() }, |e| e.actor == "eve"),
            (Filter { trace: some(&format!("{:032x}", 42)), ..all() }, |e| e.id == event(42).id),
            (Filter { result: Some(Outcome::PolicyDenied), ..all() }, |e| e.result == Outcome::PolicyDenied),
            (Filter { from: Some(second), to: Some(second), ..all() }, |e| {
                e.time == NOON + SignedDuration::from_secs(4)
            }),
            (Filter { actor: some("ada"), result: Some(Outcome::Succeeded), module: some("health"), ..all() }, |e| {
                e.actor == "ada" && e.result == Outcome::Succeeded && e.module() == Some("health")
            }),
        ];
        for (filter, expected) in laws {
            let found = events_of(log.query(&filter, None, 1000).await.unwrap());
            let expected: Vec<_> = events.iter().filter(|event| expected(event)).cloned().collect();
            assert!(!expected.is_empty() && expected.len() < 100, "{filter:?}");
            assert_eq!(found, expected, "{filter:?}");
        }
    }

    async fn a_page_holds_between_one_and_a_thousand(url: &str) {
        let (log, events) = hundred(url).await;
        let page = log.query(&Filter::default(), None, 0).await.unwrap();
        assert_eq!(events_of(page), events[..1]);
        assert_eq!(log.query(&Filter::default(), None, u32::MAX).await.unwrap().events.len(), 100);
    }

    async fn an_event_offered_twice_is_kept_once(url: &str) {
        let store = open(url).await;
        for _ in 0..2 {
            SqlSink::new(store.clone()).write(&[event(1), event(2)]).await.unwrap();
        }
        let page = AuditLog::new(store).query(&Filter::default(), None, 10).await.unwrap();
        assert_eq!(events_of(page), [event(2), event(1)]);
    }

    async fn an_unstorable_text_holds_nothing_up(url: &str) {
        let store = open(url).await;
        let recorder = Recorder::start(SqlSink::new(store.clone()), Limits::default());
        let hostile = "\0'; DROP TABLE audit_event; --".repeat(1000);
        let odd = Event { actor: hostile.clone(), tenant: Some(hostile.clone()), ..event(1) };
        recorder.record(odd).await;
        recorder.record(event(2)).await;
        recorder.flush().await;
        assert_eq!(recorder.failing(), None);
        let log = AuditLog::new(store);
        let filter = Filter { actor: Some(hostile.clone()), scope: Some(Scope::Tenant(hostile)), ..Filter::default() };
        let found = log.query(&filter, None, 10).await.unwrap().events;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].event.actor.len(), 1024);
        assert_eq!(log.query(&Filter::default(), None, 10).await.unwrap().events.len(), 2);
    }

    async fn a_closed_database_is_a_failing_sink(url: &str) {
        let store = open(url).await;
        let recorder = Recorder::start(SqlSink::new(store.clone()), Limits::default());
        store.close().await;
        recorder.record(event(1)).await;
        recorder.close().await;
        assert!(recorder.failing().unwrap().starts_with("the audit database failed"));
        assert_eq!(recorder.dropped(), 1);
    }
}

#[test]
fn only_a_cursor_is_a_cursor() {
    for text in ["", "7", "zz", "ää", &"0".repeat(63), &"g".repeat(64), &"ä".repeat(32)] {
        assert_eq!(text.parse::<Cursor>(), Err(MalformedCursor), "{text}");
    }
}
