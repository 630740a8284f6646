//! What is told of calls: which successes are worth an event, who did it, in which trace, how long it took, and when whoever
//! called hears of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use audit::{Event, Limits, Outcome, Recorder, Sink, SinkError};
use jiff::SignedDuration;
use kernel::{Call, Category, Modules, Problem, TraceContext};
use sdk::prelude::*;
use testkit::Testkit;
use tokio::sync::Notify;

#[derive(Clone, Default)]
struct Board {
    /// Whether the handler that ran last ran as a call that may change something.
    changing: Arc<Mutex<Option<bool>>>,
    waiting: Arc<Notify>,
}

impl Board {
    fn note(&self, cx: &Cx) {
        *self.changing.lock().unwrap() = Some(cx.call().is_some());
    }

    fn noted(&self) -> Option<bool> {
        self.changing.lock().unwrap().take()
    }
}

impl Module for Board {
    const NAME: &'static str = "board";
    const PRODUCT: &'static str = "town";
    type Error = Wrong;
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("nobody knows them")]
    Stranger,
    #[error("the board fell")]
    Fallen(#[source] std::io::Error),
}

impl Problem for Wrong {
    fn code(&self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Fallen(_) => "fallen",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Stranger => Category::Unauthorized,
            Self::Fallen(_) => Category::Internal,
        }
    }
}

/// Read the board.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.read", Board -> ())]
#[access(public)]
#[license(none)]
#[http(GET "/board")]
struct Read {}

/// Read the board, as somebody.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.sign", Board -> ())]
#[access(authenticated)]
#[license(none)]
#[http(GET "/board/signed")]
struct Sign {}

/// Pin something to the board.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.pin", Board -> ())]
#[access(public)]
#[license(none)]
#[http(POST "/board")]
struct Pin {}

/// Turn the board over. No route says whether that changes anything.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.turn", Board -> ())]
#[access(public)]
#[license(none)]
struct Turn {}

/// Show to be somebody.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.people.enter", Board -> ())]
#[access(public)]
#[license(none)]
#[http(POST "/board/people")]
struct Enter {
    knows_the_word: bool,
}

/// Let the board fall.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.drop", Board -> ())]
#[access(public)]
#[license(none)]
struct Fall {}

/// Wait for something to read, for ever.
#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command("board.notes.wait", Board -> ())]
#[access(public)]
#[license(none)]
struct Waiting {}

impl Handle<Read> for Board {
    async fn handle(&self, _cx: &Cx, _command: Read) -> Result<(), Wrong> {
        Ok(())
    }
}

impl Handle<Sign> for Board {
    async fn handle(&self, cx: &Cx, _command: Sign) -> Result<(), Wrong> {
        self.note(cx);
        Ok(())
    }
}

impl Handle<Pin> for Board {
    async fn handle(&self, cx: &Cx, _command: Pin) -> Result<(), Wrong> {
        self.note(cx);
        Ok(())
    }
}

impl Handle<Turn> for Board {
    async fn handle(&self, _cx: &Cx, _command: Turn) -> Result<(), Wrong> {
        Ok(())
    }
}

impl Handle<Enter> for Board {
    async fn handle(&self, cx: &Cx, command: Enter) -> Result<(), Wrong> {
        cx.recognize("person:ada");
        if command.knows_the_word { Ok(()) } else { Err(Wrong::Stranger) }
    }
}

impl Handle<Fall> for Board {
    async fn handle(&self, _cx: &Cx, _command: Fall) -> Result<(), Wrong> {
        Err(Wrong::Fallen(std::io::Error::other("the nail broke")))
    }
}

impl Handle<Waiting> for Board {
    async fn handle(&self, _cx: &Cx, _command: Waiting) -> Result<(), Wrong> {
        self.waiting.notify_one();
        std::future::pending().await
    }
}

fn board() -> (Testkit, Board) {
    let board = Board::default();
    let mounted = board.clone();
    (Testkit::new(&[], move |_| Modules::none().mount(mounted.clone())), board)
}

async fn only_event(testkit: &Testkit) -> Event {
    let mut events = testkit.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[tokio::test]
async fn every_success_has_an_event_but_a_look_that_anyone_may_take() {
    let (testkit, _) = board();
    testkit.run(Read {}).await.unwrap();
    testkit.run(Sign {}).await.unwrap();
    testkit.run(Pin {}).await.unwrap();
    testkit.run(Turn {}).await.unwrap();
    let told: Vec<_> = testkit.events().await.into_iter().filter_map(|event| event.command).collect();
    assert_eq!(told, ["board.notes.sign", "board.notes.pin", "board.notes.turn"]);
}

#[tokio::test]
async fn whoever_shows_to_be_somebody_is_who_did_it() {
    let testkit = board().0.anonymous();
    testkit.run(Enter { knows_the_word: true }).await.unwrap();
    let event = only_event(&testkit).await;
    assert_eq!((event.actor.as_str(), event.result), ("person:ada", Outcome::Succeeded));
    assert_eq!(serde_json::to_value(&event.metadata).unwrap(), serde_json::json!({}));
}

#[tokio::test]
async fn whoever_fails_to_has_done_nothing_and_is_named_as_whom_it_concerns() {
    let testkit = board().0.anonymous();
    testkit.run(Enter { knows_the_word: false }).await.unwrap_err();
    let event = only_event(&testkit).await;
    assert_eq!((event.actor.as_str(), event.result), ("anonymous", Outcome::AuthFailure));
    assert_eq!(
        (event.name.as_ref(), event.error_code.as_deref()),
        ("command.unauthorized", Some("stranger"))
    );
    let metadata = serde_json::to_value(&event.metadata).unwrap();
    assert_eq!(metadata, serde_json::json!({ "account": "person:ada" }));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn only_what_is_wrong_with_the_program_is_logged_with_all_its_causes() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR);
    let subscriber = subscriber.with_ansi(false).with_writer(move || written.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let testkit = board().0.anonymous();
    testkit.run(Enter { knows_the_word: false }).await.unwrap_err();
    let logged = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(logged(), "", "whoever made a mistake is told, and nobody else");
    testkit.run(Fall {}).await.unwrap_err();
    let told = logged();
    assert!(told.contains("a handler failed error=the board fell: the nail broke"), "{told}");
    let events = testkit.events().await;
    assert_eq!(events.last().unwrap().error_code.as_deref(), Some("fallen"));
}

#[tokio::test]
async fn a_call_has_a_span_of_its_own_in_the_trace_of_its_caller() {
    let (testkit, _) = board();
    let parent = TraceContext { trace: [7; 16], span: [9; 8] };
    testkit.run_in(testkit.cx().with_trace(parent), Pin {}).await.unwrap();
    let event = only_event(&testkit).await;
    assert_eq!(event.trace_id, Some("07".repeat(16)));
    assert!(event.span_id.is_some_and(|span| span != "09".repeat(8)));
}

#[tokio::test]
async fn a_call_without_a_trace_is_in_none_where_nobody_observes() {
    let (testkit, _) = board();
    testkit.run(Pin {}).await.unwrap();
    let event = only_event(&testkit).await;
    assert_eq!((event.trace_id, event.span_id), (None, None));
}

#[tokio::test]
async fn a_cancelled_call_took_as_long_as_it_did() {
    let (testkit, board) = board();
    let some_time = async {
        board.waiting.notified().await;
        testkit.pass(SignedDuration::from_secs(5));
    };
    tokio::select! {
        _ = testkit.run(Waiting {}) => panic!("it waits for ever"),
        () = some_time => {}
    }
    let event = only_event(&testkit).await;
    assert_eq!((event.name.as_ref(), event.duration), ("command.cancelled", Some(Duration::from_secs(5))));
}

#[tokio::test]
async fn what_a_change_commits_is_marked_as_its_own_and_what_a_look_does_is_not() {
    let (testkit, board) = board();
    testkit.run(Pin {}).await.unwrap();
    assert_eq!(board.noted(), Some(true));
    testkit.run(Sign {}).await.unwrap();
    assert_eq!(board.noted(), Some(false));
    let outer = Call::new(testkit.cx().ambient(), Pin::CONTRACT.id(), testkit.now());
    let within = testkit.cx().with_call(Some(Arc::new(outer)));
    testkit.run_in(within, Sign {}).await.unwrap();
    assert_eq!(board.noted(), Some(false), "nor what a look does within a change");
}

/// Takes nothing as long as it is shut.
struct Gate(Arc<AtomicBool>);

impl Sink for Gate {
    async fn write(&mut self, _events: &[Event]) -> Result<(), SinkError> {
        while self.0.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn whoever_changes_something_waits_until_that_is_written_and_nobody_else_does() {
    let shut = Arc::new(AtomicBool::new(true));
    let limits = Limits { settling: Duration::from_millis(50), ..Limits::default() };
    let recorder = Recorder::start(Gate(Arc::clone(&shut)), limits);
    let testkit = board().0.recording_to(recorder.clone());
    testkit.run(Sign {}).await.unwrap();
    testkit.run(Enter { knows_the_word: false }).await.unwrap_err();
    assert_eq!(recorder.unsettled(), 0, "neither a look nor a change that failed waited for the sink");
    testkit.run(Pin {}).await.unwrap();
    assert_eq!(recorder.unsettled(), 1, "a change did, for as long as it may");

    shut.store(false, Ordering::Relaxed);
    recorder.flush().await;
    testkit.run(Pin {}).await.unwrap();
    assert_eq!(recorder.unsettled(), 1);
}
