//! Consumers of the stored log: nothing is lost on the way to them, and what may come twice says so.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_audit::{
    AuditLog, Consume, Consumer, ConsumerError, Delivery, JsonLines, Position, Round, Scope, SinkError,
    Webhook, WebhookError,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::common::{NOON, attack, disarm, event, fill, log, open, write};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(5);

/// Remembers what it was given; it can be cut off, before or after it took the events.
#[derive(Clone, Default)]
struct Receiver {
    had: Arc<Mutex<Vec<Delivery>>>,
    cut: Arc<AtomicBool>,
    answer_lost: Arc<AtomicBool>,
}

impl Receiver {
    fn had(&self) -> Vec<Delivery> {
        self.had.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The places it was given of one chain, and how many of them as possibly delivered before.
    fn places(&self, tenant: Option<&str>) -> (Vec<u64>, usize) {
        let had = self.had();
        let of_chain: Vec<_> = had.iter().filter(|it| it.entry.event.tenant.as_deref() == tenant).collect();
        (of_chain.iter().map(|it| it.entry.sequence).collect(), of_chain.iter().filter(|it| it.again).count())
    }
}

impl Consume for Receiver {
    async fn deliver(&mut self, events: &[Delivery], _now: Timestamp) -> Result<(), SinkError> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(SinkError::Other("the line is cut".into()));
        }
        self.had.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        if self.answer_lost.load(Ordering::Relaxed) {
            return Err(SinkError::Other("no answer".into()));
        }
        Ok(())
    }
}

fn consumer<C: Consume>(log: &AuditLog, process: u128, receiver: C) -> Consumer<C> {
    Consumer::new(log.clone(), "siem", Uuid::from_u128(process), receiver)
}

async fn drain<C: Consume>(consumer: &mut Consumer<C>, now: Timestamp) {
    while !matches!(consumer.round(now).await.unwrap(), Round::Delivered(0)) {}
}

kit::on_both_engines! {
    async fn a_consumer_that_was_cut_off_catches_up_without_loss(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let receiver = Receiver::default();
        let mut consumer = consumer(&log, 1, receiver.clone());
        fill(&store, &[None, Some("acme")], 5).await;
        drain(&mut consumer, NOON).await;
        receiver.cut.store(true, Ordering::Relaxed);
        let events: Vec<_> = (6..=250).map(|n| event(Some("acme"), n)).collect();
        write(&store, &events).await;
        for _ in 0..3 {
            let failed = consumer.round(NOON).await.unwrap_err();
            assert!(matches!(failed, ConsumerError::Receiver(_)), "{failed}");
        }
        assert_eq!(log.backlog("siem").await.unwrap(), 245);
        receiver.cut.store(false, Ordering::Relaxed);
        drain(&mut consumer, NOON).await;
        assert_eq!(receiver.places(None), ((1..=5).collect(), 0));
        let (places, again) = receiver.places(Some("acme"));
        assert_eq!(places, (1..=250).collect::<Vec<_>>());
        assert_eq!(again, 100, "the batch that was tried before may have arrived then");
        assert_eq!(log.backlog("siem").await.unwrap(), 0);
    }

    async fn what_is_delivered_twice_says_so_also_after_a_restart(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let receiver = Receiver::default();
        fill(&store, &[None], 3).await;
        receiver.answer_lost.store(true, Ordering::Relaxed);
        consumer(&log, 1, receiver.clone()).round(NOON).await.unwrap_err();
        fill(&store, &[Some("acme")], 1).await;
        receiver.answer_lost.store(false, Ordering::Relaxed);
        drain(&mut consumer(&log, 2, receiver.clone()), NOON + SignedDuration::from_secs(61)).await;
        assert_eq!(receiver.places(None), (vec![1, 2, 3, 1, 2, 3], 3));
        assert_eq!(receiver.places(Some("acme")), (vec![1], 0));
    }

    async fn of_two_processes_one_delivers_until_it_falls_silent(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let receiver = Receiver::default();
        let (mut first, mut second) = (consumer(&log, 1, receiver.clone()), consumer(&log, 2, receiver.clone()));
        fill(&store, &[None], 3).await;
        let at = |seconds| NOON + SignedDuration::from_secs(seconds);
        assert_eq!(first.round(at(0)).await.unwrap(), Round::Delivered(3));
        assert_eq!(second.round(at(30)).await.unwrap(), Round::Elsewhere);
        fill(&store, &[Some("acme")], 2).await;
        assert_eq!(first.round(at(59)).await.unwrap(), Round::Delivered(2));
        assert_eq!(second.round(at(90)).await.unwrap(), Round::Elsewhere);
        fill(&store, &[Some("globex")], 2).await;
        assert_eq!(second.round(at(120)).await.unwrap(), Round::Delivered(2));
        assert_eq!(first.round(at(121)).await.unwrap(), Round::Elsewhere);
        assert_eq!(receiver.had().len(), 7);
    }

    async fn a_consumer_can_be_set_back_or_begin_at_the_end(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None, Some("acme")], 4).await;
        let receiver = Receiver::default();
        log.place_consumer("siem", &log.end_of_log().await.unwrap()).await.unwrap();
        let mut siem = consumer(&log, 1, receiver.clone());
        assert_eq!(siem.round(NOON).await.unwrap(), Round::Delivered(0));
        log.place_consumer("siem", &Position::default()).await.unwrap();
        assert_eq!(siem.round(NOON).await.unwrap(), Round::Delivered(8));
        log.place_consumer("siem", &serde_json::from_str(r#"{"platform":3,"tenant:acme":4}"#).unwrap()).await.unwrap();
        assert_eq!(siem.round(NOON).await.unwrap(), Round::Delivered(1));
        assert_eq!(receiver.places(None), (vec![1, 2, 3, 4, 4], 5), "all of that was passed over or had before");
    }

    async fn nothing_is_pruned_before_every_consumer_has_had_it(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None], 5).await;
        log.checkpoint(NOON).await.unwrap();
        let receiver = Receiver::default();
        receiver.cut.store(true, Ordering::Relaxed);
        let mut siem = consumer(&log, 1, receiver.clone());
        siem.round(NOON).await.unwrap_err();
        assert_eq!(log.prune(&Scope::Platform, Timestamp::MAX, NOON).await.unwrap(), None);
        receiver.cut.store(false, Ordering::Relaxed);
        drain(&mut siem, NOON).await;
        assert_eq!(log.prune(&Scope::Platform, Timestamp::MAX, NOON).await.unwrap().unwrap().events, 5);

        fill(&store, &[Some("acme")], 5).await;
        log.checkpoint(NOON).await.unwrap();
        let acme = Scope::Tenant("acme".to_owned());
        assert_eq!(log.prune(&acme, Timestamp::MAX, NOON).await.unwrap(), None);
        log.forget_consumer("siem").await.unwrap();
        assert_eq!(log.prune(&acme, Timestamp::MAX, NOON).await.unwrap().unwrap().events, 5);
    }

    async fn a_new_consumer_does_not_wait_for_what_was_pruned_before_it_came(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None, Some("acme")], 5).await;
        log.checkpoint(NOON).await.unwrap();
        for scope in [Scope::Platform, Scope::Tenant("acme".to_owned())] {
            assert_eq!(log.prune(&scope, Timestamp::MAX, NOON).await.unwrap().unwrap().events, 5);
        }
        write(&store, &[event(None, 6)]).await;
        let receiver = Receiver::default();
        let mut siem = consumer(&log, 1, receiver.clone());
        drain(&mut siem, NOON).await;
        assert_eq!(log.backlog("siem").await.unwrap(), 0);
        write(&store, &[event(Some("acme"), 6)]).await;
        drain(&mut siem, NOON).await;
        assert_eq!((receiver.places(None).0, receiver.places(Some("acme")).0), (vec![6], vec![6]));

        // What is gone and was not pruned goes on to be missed.
        write(&store, &[event(Some("acme"), 7)]).await;
        disarm(&store).await;
        attack(&store, &["DELETE FROM audit_event WHERE sequence = 7"]).await;
        drain(&mut siem, NOON).await;
        assert_eq!(log.backlog("siem").await.unwrap(), 1);
    }

    async fn a_running_consumer_outlives_an_outage(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let receiver = Receiver::default();
        receiver.cut.store(true, Ordering::Relaxed);
        fill(&store, &[None], 3).await;
        let consumer = consumer(&log, 1, receiver.clone());
        let delivering = consumer.delivering();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let running = tokio::spawn(consumer.run(|| NOON, Duration::from_millis(1), stopped));
        let failing = async {
            loop {
                match delivering.failing() {
                    Some(failure) => return failure,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let failure = tokio::time::timeout(Duration::from_secs(30), failing).await.unwrap();
        assert!(failure.contains("receiver"), "{failure}");
        receiver.cut.store(false, Ordering::Relaxed);
        while log.backlog("siem").await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(receiver.places(None).0, [1, 2, 3]);
        write(&store, &[event(None, 4)]).await;
        stop.send(()).unwrap();
        running.await.unwrap();
        assert_eq!(receiver.places(None).0, [1, 2, 3, 4], "the last round delivers what is there");
        let round = self::consumer(&log, 2, receiver).round(NOON).await.unwrap();
        assert_eq!(round, Round::Delivered(0), "another process need not wait");
    }

    async fn a_webhook_is_signed_and_goes_on_where_its_receiver_failed(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None], 6).await;
        let endpoint = Endpoint::start(4).await;
        let webhook = Webhook::new(&endpoint.url, SECRET, PATIENCE).unwrap();
        let mut siem = consumer(&log, 1, webhook);
        let failed = siem.round(NOON).await.unwrap_err();
        assert_eq!(story(&failed), "the receiver of audit events failed: the audit sink failed: the receiver answered 503 Service Unavailable");
        drain(&mut siem, NOON).await;
        let had = endpoint.had();
        let ids: Vec<_> = had.iter().map(|message| message.id.clone()).collect();
        let expected: Vec<_> = [1, 2, 3, 4, 1, 2, 3, 4, 5, 6].map(|n| event(None, n).id.to_string()).into();
        assert_eq!(ids, expected, "the fourth was refused");
        let signer = Webhook::new("http://localhost", SECRET, PATIENCE).unwrap();
        for message in &had {
            assert_eq!(message.timestamp, NOON.as_second());
            assert_eq!(message.signature, signer.signature(&message.id, message.timestamp, &message.body));
        }
        let body: Value = serde_json::from_str(&had[0].body).unwrap();
        assert_eq!(body["type"], "license.command.denied");
        assert_eq!(body["timestamp"], event(None, 1).time.to_string());
        assert_eq!((&body["data"]["sequence"], &body["data"]["again"]), (&Value::from(1), &Value::from(false)));
        assert_eq!(serde_json::from_str::<Value>(&had[4].body).unwrap()["data"]["again"], true);
    }

    async fn lines_are_whole_also_after_a_crash_and_old_files_are_set_aside(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "{\"whole\":true}\n{\"torn\":tr").unwrap();
        fill(&store, &[None], 2).await;
        drain(&mut consumer(&log, 1, JsonLines::new(&path, 1500, 2)), NOON).await;
        let lines = read(&path);
        assert_eq!((lines.len(), &lines[0]["whole"]), (3, &Value::from(true)));
        assert_eq!((&lines[2]["sequence"], &lines[2]["eventId"]), (&Value::from(2), &Value::from(event(None, 2).id.to_string())));

        let mut siem = consumer(&log, 1, JsonLines::new(&path, 1500, 2));
        for n in 3..=20 {
            let written = [event(None, n)];
            write(&store, &written).await;
            drain(&mut siem, NOON).await;
        }
        let files = ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"].map(|name| read(&folder.path().join(name)));
        let places: Vec<_> = files.iter().flatten().map(|line| line["sequence"].as_u64().unwrap()).collect();
        let first = places[0];
        assert!(first > 3, "the oldest file went");
        assert_eq!(places, (first..=20).collect::<Vec<_>>());
        assert!(!folder.path().join("audit.jsonl.3").exists());
    }

    async fn a_file_that_cannot_be_written_is_a_failing_receiver(url: &str) {
        let store = open(url).await;
        let log = log(&store);
        fill(&store, &[None], 2).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not-yet").join("audit.jsonl");
        let mut siem = consumer(&log, 1, JsonLines::new(&path, 1500, 0));
        siem.round(NOON).await.unwrap_err();
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        drain(&mut siem, NOON).await;
        assert_eq!(read(&path).len(), 2);
    }
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn story(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |story, cause| format!("{story}: {cause}"))
}

/// The vector that the libraries of standardwebhooks.com test themselves with.
#[test]
fn the_signature_is_that_of_standard_webhooks() {
    let webhook = Webhook::new("https://example.com/hook", SECRET, PATIENCE).unwrap();
    let signature =
        webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_webhook_needs_an_address_and_a_secret_and_repeats_neither() {
    for (url, secret) in [
        ("ftp://example.com/hunter2", SECRET),
        ("hunter2", SECRET),
        ("https://example.com", "hunter2"),
        ("https://example.com", "whsec_hunter2"),
        ("https://example.com", "whsec_c2hvcnQ="),
    ] {
        let refused = Webhook::new(url, secret, PATIENCE).unwrap_err();
        assert!(matches!(refused, WebhookError::Address | WebhookError::Secret));
        assert!(!story(&refused).contains("hunter2") && !format!("{refused:?}").contains("hunter2"));
    }
    let webhook = Webhook::new("https://example.com/hunter2", SECRET, PATIENCE).unwrap();
    assert_eq!(format!("{webhook:?}"), "Webhook");
}

/// Somebody's server, which answers one message with 503.
struct Endpoint {
    url: String,
    had: Arc<Mutex<Vec<Message>>>,
}

#[derive(Clone, Default)]
struct Message {
    id: String,
    timestamp: i64,
    signature: String,
    body: String,
}

impl Endpoint {
    async fn start(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let had = Arc::new(Mutex::new(Vec::new()));
        let (kept, count) = (had.clone(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone(), count.clone(), refused));
            }
        });
        Self { url, had }
    }

    fn had(&self) -> Vec<Message> {
        self.had.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(stream: TcpStream, had: Arc<Mutex<Vec<Message>>>, count: Arc<AtomicUsize>, refused: usize) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut message, mut length, mut line) = (Message::default(), 0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if line.trim_end().is_empty() {
                break;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { continue };
            match name {
                "webhook-id" => value.clone_into(&mut message.id),
                "webhook-timestamp" => message.timestamp = value.parse().unwrap(),
                "webhook-signature" => value.clone_into(&mut message.signature),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        message.body = String::from_utf8(body).unwrap();
        had.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        let refuse = count.fetch_add(1, Ordering::Relaxed) + 1 == refused;
        let status = if refuse { "503 Service Unavailable" } else { "204 No Content" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}
