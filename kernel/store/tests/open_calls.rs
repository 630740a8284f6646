//! A change that a call asked for commits together with the note that the call has made it.

use std::sync::Arc;
use std::time::Duration;

use chancery_store::{Cause, OpenCall, Options, Store, sqlx};
use jiff::Timestamp;
use kernel::{Ambient, Call, CommandId, Cx, Principal, TenantId, TraceContext};

async fn open(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.unwrap();
    store.migrate(&[]).await.unwrap();
    let mut work = store.begin().await.unwrap();
    sqlx::query("CREATE TABLE note (text TEXT NOT NULL)").execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    store
}

fn surroundings() -> Cx {
    Cx::new(Ambient::system(), Principal::System).with_timeout(Duration::from_secs(30))
}

fn call() -> Cx {
    let cx = surroundings();
    let call = Call::new(cx.ambient(), CommandId::parse("notes.notes.add").unwrap(), cx.now());
    cx.with_call(Some(Arc::new(call)))
}

async fn add(store: &Store, cause: impl Into<Cause<'_>>) {
    let mut work = store.begin().await.unwrap();
    sqlx::query("INSERT INTO note VALUES ('hello')").execute(&mut *work).await.unwrap();
    work.commit(cause).await.unwrap();
}

async fn overdue(store: &Store) -> Vec<OpenCall> {
    OpenCall::overdue(store, Timestamp::MAX).await.unwrap()
}

kit::on_both_engines! {
    async fn a_change_leaves_one_open_call_until_it_is_closed(url: &str) {
        let store = open(url).await;
        let tenant = TenantId(surroundings().uuid());
        let trace = TraceContext { trace: [1; 16], span: [2; 8] };
        let cx = call().with_tenant(tenant).with_trace(trace);
        let id = cx.call().unwrap().id();
        add(&store, &cx).await;
        add(&store, &cx).await;
        let expected = OpenCall {
            id,
            command: "notes.notes.add".to_owned(),
            tenant: Some(tenant.to_string()),
            actor: "system".to_owned(),
            correlation_id: cx.correlation().as_str().to_owned(),
            trace_id: Some("01".repeat(16)),
            span_id: Some("02".repeat(8)),
            started: overdue(&store).await[0].started,
        };
        assert_eq!(overdue(&store).await, [expected]);
        assert!(cx.call().unwrap().is_marked());
        assert!(OpenCall::overdue(&store, cx.deadline().unwrap()).await.unwrap().is_empty(), "it may still run");

        let mut work = store.begin().await.unwrap();
        let strangers = (0..5).map(|_| cx.uuid());
        OpenCall::close(&mut work, &strangers.chain([id]).collect::<Vec<_>>()).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
        assert!(overdue(&store).await.is_empty());
    }

    async fn what_is_rolled_back_or_no_call_or_only_a_look_leaves_none(url: &str) {
        let store = open(url).await;
        let cx = call();
        let mut work = store.begin().await.unwrap();
        sqlx::query("INSERT INTO note VALUES ('never')").execute(&mut *work).await.unwrap();
        drop(work);
        assert!(!cx.call().unwrap().is_marked());
        add(&store, Cause::Upkeep).await;
        add(&store, &surroundings()).await;
        assert!(overdue(&store).await.is_empty());
    }
}
