//! Calls that changed something and lost their process.

use std::sync::Arc;

use chancery_audit::{Event, Filter, Outcome, Range};
use jiff::{SignedDuration, Timestamp};
use kernel::{Ambient, Call, CommandId, Cx, Principal, TenantId};
use store::{Cause, OpenCall, Store};
use tokio::task::JoinSet;

use crate::common::{event, log, open, write};

/// A call of that instant that has committed a change.
async fn changed(store: &Store, began: Timestamp) -> Cx {
    let cx = Cx::new(Ambient::system(), Principal::System);
    let tenant = TenantId(cx.uuid());
    let call = Call::new(cx.ambient(), CommandId::parse("notes.notes.add").unwrap(), began);
    let cx = cx
        .with_tenant(tenant)
        .with_deadline(began + SignedDuration::from_secs(30))
        .with_call(Some(Arc::new(call)));
    store.begin().await.unwrap().commit(&cx).await.unwrap();
    cx
}

fn ended(cx: &Cx) -> Event {
    let tenant = cx.tenant().unwrap().to_string();
    Event { id: cx.call().unwrap().id(), closes_call: true, ..event(Some(&tenant), 1) }
}

async fn told(store: &Store) -> Vec<Event> {
    let page = log(store).query(&Filter::default(), None, 1000).await.unwrap();
    page.events.into_iter().map(|entry| entry.event).collect()
}

async fn open_calls(store: &Store) -> usize {
    OpenCall::overdue(store, Timestamp::MAX).await.unwrap().len()
}

const BEGAN: Timestamp = Timestamp::constant(1_900_000_000, 0);

fn later(seconds: i64) -> Timestamp {
    BEGAN + SignedDuration::from_secs(seconds)
}

kit::on_both_engines! {
    async fn a_call_whose_process_died_becomes_one_event_however_many_look_for_it(url: &str) {
        let store = open(url).await;
        let mut calls = Vec::new();
        for _ in 0..300 {
            calls.push(changed(&store, BEGAN).await);
        }
        assert_eq!(log(&store).record_interrupted(later(40)).await.unwrap(), 0, "it may not have been written yet");
        let mut looking = JoinSet::new();
        for _ in 0..4 {
            let log = log(&open(url).await);
            looking.spawn(async move { log.record_interrupted(later(46)).await.unwrap() });
        }
        let recorded: usize = looking.join_all().await.into_iter().sum();
        assert_eq!((recorded, open_calls(&store).await), (300, 0));
        let told = told(&store).await;
        assert_eq!(told.len(), 300);
        for cx in &calls {
            let event = told.iter().find(|event| event.id == cx.call().unwrap().id()).unwrap();
            assert_eq!((&*event.name, event.result), ("command.interrupted", Outcome::Warning));
            assert_eq!(event.error_code.as_deref(), Some("outcome_unknown"));
            assert_eq!(event.command.as_deref(), Some("notes.notes.add"));
            assert_eq!(event.tenant, cx.tenant().map(|tenant| tenant.to_string()));
            assert_eq!(event.correlation_id.as_deref(), Some(cx.correlation().as_str()));
            let metadata = serde_json::to_value(&event.metadata).unwrap();
            assert_eq!(metadata["startedAt"], BEGAN.to_string());
        }
        assert!(log(&store).verify(&Range::default(), &[]).await.unwrap().intact);
    }

    async fn a_call_whose_end_is_recorded_is_not_interrupted(url: &str) {
        let store = open(url).await;
        let cx = changed(&store, BEGAN).await;
        write(&store, &[ended(&cx)]).await;
        assert_eq!(open_calls(&store).await, 0);
        // A commit that was on its way when its cancelled call was recorded.
        store.begin().await.unwrap().commit(&cx).await.unwrap();
        assert_eq!(open_calls(&store).await, 1);
        assert_eq!(log(&store).record_interrupted(later(46)).await.unwrap(), 0);
        assert_eq!(open_calls(&store).await, 0);
        assert_eq!(told(&store).await.len(), 1);
    }

    async fn an_event_that_comes_too_late_adds_none(url: &str) {
        let store = open(url).await;
        let cx = changed(&store, BEGAN).await;
        assert_eq!(log(&store).record_interrupted(later(46)).await.unwrap(), 1);
        write(&store, &[ended(&cx), event(None, 7)]).await;
        let names: Vec<_> = told(&store).await.into_iter().map(|event| event.name).collect();
        assert_eq!(names, ["command.interrupted", "license.command.denied"]);
    }

    async fn what_was_done_for_no_call_is_not_interrupted(url: &str) {
        let store = open(url).await;
        store.begin().await.unwrap().commit(Cause::Upkeep).await.unwrap();
        assert_eq!(log(&store).record_interrupted(Timestamp::MAX).await.unwrap(), 0);
    }
}
