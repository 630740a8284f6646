//! Many writers at once: tasks, processes, and processes that are killed.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use chancery_audit::{AuditLog, Event, Filter, Limits, Range, Recorder, Scope, Sink, SinkError, SqlSink};
use store::{Engine, Store, sqlx};
use uuid::Uuid;

use crate::common::{event, log, open, write};

/// Every third attempt fails, and every third keeps the events and says that it failed.
struct Unreliable {
    sink: SqlSink,
    attempts: u32,
}

impl Sink for Unreliable {
    async fn write(&mut self, events: &[Event]) -> Result<(), SinkError> {
        self.attempts += 1;
        if self.attempts % 3 == 1 {
            return Err(SinkError::Other("before".into()));
        }
        self.sink.write(events).await?;
        if self.attempts % 3 == 2 { Err(SinkError::Other("after".into())) } else { Ok(()) }
    }
}

async fn ids(store: &Store) -> Vec<String> {
    sqlx::query_scalar("SELECT id FROM audit_event").fetch_all(store.reader()).await.unwrap()
}

async fn assert_intact(store: &Store, events: u64) {
    let verified = log(store).verify(&Range::default(), &[]).await.unwrap();
    assert!(verified.intact, "{:?}", verified.broken);
    assert_eq!(verified.events, events);
}

kit::on_both_engines! {
    async fn what_64_callers_record_is_kept_exactly_once_however_often_it_is_offered(url: &str) {
        let limits = Limits { batch: 16, retry: Duration::from_millis(1), ..Limits::default() };
        let mut recorders = Vec::new();
        for _ in 0..4 {
            let sink = SqlSink::new(open(url).await);
            recorders.push(Recorder::start(Unreliable { sink, attempts: 0 }, limits));
        }
        let tenants = [None, Some("acme"), Some("globex"), Some("initech")];
        let callers: Vec<_> = (0..64_u32).map(|caller| {
            let recorder = recorders[caller as usize % 4].clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    // In another order for each caller, so that batches share scopes crosswise.
                    recorder.record(event(tenants[((caller + n) % 4) as usize], caller * 100 + n)).await;
                }
            })
        }).collect();
        for caller in callers {
            caller.await.unwrap();
        }
        for recorder in recorders {
            recorder.flush().await;
            assert_eq!((recorder.dropped(), recorder.backlog()), (0, 0));
        }
        let store = open(url).await;
        let expected: HashSet<_> = (0..64_u32)
            .flat_map(|caller| (0..20).map(move |n| event(tenants[((caller + n) % 4) as usize], caller * 100 + n).id.to_string()))
            .collect();
        let kept = ids(&store).await;
        assert_eq!(kept.len(), 64 * 20);
        assert_eq!(kept.into_iter().collect::<HashSet<_>>(), expected);
        assert_intact(&store, 64 * 20).await;
    }

    async fn a_batch_that_repeats_itself_and_others_adds_only_what_is_new(url: &str) {
        let store = open(url).await;
        let mut sink = SqlSink::new(store.clone());
        let at = |n| event(Some("acme"), n);
        sink.write(&[at(1), at(2), at(1)]).await.unwrap();
        sink.write(&[at(2), at(3), event(None, 1), at(3)]).await.unwrap();
        sink.write(&[at(3), at(1)]).await.unwrap();
        sink.write(&[]).await.unwrap();
        assert_intact(&store, 4).await;
        let moved = Event { tenant: None, ..at(1) };
        sink.write(&[moved, event(None, 2)]).await.unwrap();
        assert_intact(&store, 5).await;
    }

    async fn a_tenant_of_any_name_has_a_chain_that_goes_on(url: &str) {
        let store = open(url).await;
        let names = ["\"", "a\\b", "a,b", "{\"a\":[1]}", "\u{1}\n\u{7f}", "né\u{2028}\u{1f600}", "", "platform"];
        let mut sink = SqlSink::new(store.clone());
        for n in 1..=3 {
            sink.write(&names.map(|name| event(Some(name), n))).await.unwrap();
        }
        assert_intact(&store, 3 * names.len() as u64).await;
        assert_eq!(log(&store).verify(&Range::default(), &[]).await.unwrap().scopes, names.len() as u64);
    }

    async fn writers_of_one_scope_and_of_many_leave_every_chain_linear_and_wait_in_no_circle(url: &str) {
        let mut writers = Vec::new();
        for writer in 0..8_u32 {
            let store = open(url).await;
            let mut sink = SqlSink::new(store.clone());
            writers.push(tokio::spawn(async move {
                for batch in 0..15 {
                    let own = format!("own-{writer}");
                    let shared = ["a", "b", "c", "d"];
                    let events: Vec<_> = (0..12_u32).map(|n| {
                        let tenant = if n % 3 == 0 { own.as_str() } else { shared[((n + writer + batch) % 4) as usize] };
                        event(Some(tenant), writer * 10_000 + batch * 100 + n)
                    }).collect();
                    sink.write(&events).await.unwrap();
                }
                // A server of databases counts for good what a connection has met when it ends.
                store.close().await;
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let store = open(url).await;
        assert_intact(&store, 8 * 15 * 12).await;
        if store.engine() == Engine::Postgres {
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            let deadlocks: i64 = sqlx::query_scalar(sql).fetch_one(store.reader()).await.unwrap();
            assert_eq!(deadlocks, 0);
        }
    }

    async fn two_processes_that_append_to_one_scope_keep_it_linear(url: &str) {
        let store = open(url).await;
        let mut processes = [Process::start(url, "first"), Process::start(url, "second")];
        for process in &mut processes {
            process.until(10);
        }
        let written = processes.map(Process::kill);
        assert_holds(&store, &[("first", written[0]), ("second", written[1])]).await;
    }

    async fn a_process_killed_in_the_middle_of_a_batch_leaves_a_valid_chain(url: &str) {
        let store = open(url).await;
        let mut written = Vec::new();
        let names: Vec<_> = (0..8).map(|n| format!("process-{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            let mut process = Process::start(url, name);
            process.until(2);
            std::thread::sleep(Duration::from_micros(700 * n as u64));
            written.push((name.as_str(), process.kill()));
        }
        assert_holds(&store, &written).await;
        write(&store, &[event(None, 1)]).await;
        assert!(log(&store).verify(&Range::default(), &[]).await.unwrap().intact, "and it goes on");
    }
}

/// All batches of which a process had heard that they were kept are there, whole, and so is any other.
async fn assert_holds(store: &Store, written: &[(&str, u64)]) {
    let log: AuditLog = log(store);
    let verified = log.verify(&Range::default(), &[]).await.unwrap();
    assert!(verified.intact, "{:?}", verified.broken);
    for (name, batches) in written {
        let (kept, size) = (events_of(&log, name).await, u64::from(SIZE));
        assert_eq!(kept % size, 0, "{name} has left a part of a batch");
        assert!(kept >= batches * size, "{name} was told of {batches} batches, and {kept} events are there");
        assert!(kept <= (batches + 2) * size, "{name}");
    }
}

async fn events_of(log: &AuditLog, name: &str) -> u64 {
    let filter = Filter { actor: Some(name.to_owned()), ..Filter::default() };
    let (mut count, mut after) = (0, None);
    loop {
        let page = log.query(&filter, after, 1000).await.unwrap();
        count += page.events.len() as u64;
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}

/// Events of a batch of [`process`].
const SIZE: u32 = 30;

/// This test, as a process of its own that appends to the database in its arguments until it is killed. Without such an
/// argument it appends to one of its own for a while.
#[test]
fn a_process_appends_batch_after_batch() {
    let told: Vec<_> = std::env::args().collect();
    let at =
        told.iter().position(|argument| argument.starts_with("sqlite:") || argument.starts_with("postgres:"));
    kit::run(async {
        if let Some(at) = at {
            append(&open(&told[at]).await, &told[at + 1], u32::MAX).await;
        } else {
            let database = kit::Database::sqlite();
            let store = open(database.url()).await;
            append(&store, "alone", 5).await;
            assert_intact(&store, 5 * u64::from(SIZE)).await;
            assert_eq!(events_of(&log(&store), "alone").await, 5 * u64::from(SIZE));
        }
    });
}

async fn append(store: &Store, name: &str, batches: u32) {
    let mut sink = SqlSink::new(store.clone());
    for batch in 0..batches {
        let events: Vec<_> = (0..SIZE)
            .map(|n| {
                let tenant = [None, Some("acme"), Some(name)][n as usize % 3];
                let id = Uuid::from_u128(
                    event(Some(name), 0).id.as_u128() | u128::from(batch) << 8 | u128::from(n),
                );
                Event { id, actor: name.to_owned(), ..event(tenant, batch) }
            })
            .collect();
        sink.write(&events).await.unwrap();
        println!("kept {}", batch + 1);
    }
}

struct Process {
    child: Child,
    told: BufReader<ChildStdout>,
    kept: u64,
}

impl Process {
    fn start(url: &str, name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "writers::a_process_appends_batch_after_batch", url, name])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Self { child, told, kept: 0 }
    }

    /// Waits until it has heard of so many batches that they are kept.
    fn until(&mut self, batches: u64) {
        while self.kept < batches {
            assert!(self.hear(), "it ended by itself");
        }
    }

    fn hear(&mut self) -> bool {
        let mut line = String::new();
        if self.told.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        if let Some((_, kept)) = line.trim().split_once("kept ") {
            self.kept = kept.parse().unwrap();
        }
        true
    }

    /// `kill -9`, and what it had heard by then.
    fn kill(mut self) -> u64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while self.hear() {}
        self.kept
    }
}

#[test]
fn the_platform_and_a_tenant_of_that_name_are_two() {
    assert_ne!(Scope::Platform, Scope::Tenant("platform".to_owned()));
    assert_eq!("tenant:platform".parse(), Ok(Scope::Tenant("platform".to_owned())));
    assert_eq!("platform".parse(), Ok(Scope::Platform));
    assert_eq!(
        "acme".parse::<Scope>().unwrap_err().to_string(),
        "`acme` is neither `platform` nor `tenant:` and an id"
    );
}
