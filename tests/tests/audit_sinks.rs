//! Where audit events go, with receivers that nobody here wrote: rsyslog over TLS, a collector of OpenTelemetry, and the
//! library of Standard Webhooks. Each is cut off for a while, and the server restarted meanwhile; then nothing is missing.
//! `tests/run` installs them.

use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chancery_acceptance::{Quickstart, answer, root, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Options, Store, sqlx};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SINKS: [&str; 4] = ["json-lines.archive", "otlp.siem", "syslog.siem", "webhook.siem"];
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A program that was started. It is told to stop when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, port: u16) -> Self {
        let process =
            command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let running = Self(process);
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return running;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{command:?} does not listen");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

/// Makes a certificate of two days.
fn certify(folder: &Path, files: &[&str]) {
    let certificate = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(files)
        .current_dir(folder)
        .output()
        .expect("start openssl");
    assert!(certificate.status.success(), "{}", text(&certificate.stderr));
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The receivers, each with its port and its file. They are there while they run.
struct Receivers {
    folder: tempfile::TempDir,
    ports: [u16; 4],
    running: Vec<Running>,
}

impl Receivers {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        certify(folder.path(), &["-keyout", "key.pem", "-out", "certificate.pem"]);
        let signed = ["-CA", "certificate.pem", "-CAkey", "key.pem"];
        certify(
            folder.path(),
            &[&signed[..], &["-keyout", "our-key.pem", "-out", "our-certificate.pem"]].concat(),
        );
        Self { folder, ports: [(); 4].map(|()| free_port()), running: Vec::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) {
        let [syslog, http, grpc, webhook] = self.ports;
        let configuration = self.file("rsyslog.conf");
        let folder = self.folder.path().display();
        fs::write(
            &configuration,
            format!(
                r#"
                global(workDirectory="{folder}" maxMessageSize="64k"
                    DefaultNetstreamDriverCAFile="{folder}/certificate.pem"
                    DefaultNetstreamDriverCertFile="{folder}/certificate.pem"
                    DefaultNetstreamDriverKeyFile="{folder}/key.pem")
                module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
                input(type="imtcp" port="{syslog}")
                template(name="parsed" type="string" string="%app-name% %syslogfacility-text%.%syslogseverity-text% %msgid% %msg%\n")
                *.* action(type="omfile" file="{folder}/syslog" template="parsed")
                "#
            ),
        )
        .expect("write its configuration");
        // Where Debian keeps it is not on the path of everybody.
        let mut rsyslog = Command::new("/usr/sbin/rsyslogd");
        rsyslog.arg("-n").arg("-f").arg(&configuration).arg("-i").arg(self.file("rsyslog.pid"));
        rsyslog.stdout(self.log("rsyslog.log")).stderr(self.log("rsyslog.log"));
        self.running.push(Running::start(&mut rsyslog, syslog));

        let mut collector = Command::new(collector());
        collector
            .arg("start")
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--exporter", "blackhole", "--debug-log-verbosity", "detailed"])
            .args(["--debug-log", "logs", "--debug-log", "traces", "--debug-log", "metrics"])
            .stdout(self.log("collector"))
            .stderr(self.log("collector"));
        self.running.push(Running::start(&mut collector, http));

        let mut receiver = Command::new(python());
        receiver.arg(root().join("tests/foreign/receive_webhooks.py"));
        receiver.arg(webhook.to_string()).arg(SECRET).arg(self.file("webhooks"));
        self.running.push(Running::start(&mut receiver, webhook));
    }

    fn log(&self, name: &str) -> fs::File {
        fs::File::options().create(true).append(true).open(self.file(name)).expect("a file for its log")
    }

    fn cut(&mut self) {
        self.running.clear();
    }

    /// The configuration of a server that sends to all of them.
    fn configuration(&self) -> String {
        let [syslog, http, _, webhook] = self.ports;
        let secret = self.file("webhook-secret");
        fs::write(&secret, SECRET).unwrap();
        format!(
            r#"
            [audit.json-lines.archive]
            path = "{archive}"
            [audit.webhook.siem]
            url = "http://127.0.0.1:{webhook}/audit"
            secret = "file:{secret}"
            [audit.syslog.siem]
            address = "localhost:{syslog}"
            ca-path = "{folder}/certificate.pem"
            {identity}
            [audit.otlp.siem]
            endpoint = "http://127.0.0.1:{http}"
            "#,
            archive = self.file("archive.jsonl").display(),
            secret = secret.display(),
            folder = self.folder.path().display(),
            identity = self.identity(),
        )
    }

    /// What the server shows to a receiver that asks for certificates, as rsyslog does here.
    fn identity(&self) -> String {
        let folder = self.folder.path().display();
        format!("certificate-path = \"{folder}/our-certificate.pem\"\nkey-path = \"{folder}/our-key.pem\"")
    }

    /// The events that a receiver has had, in its order.
    fn had(&self, sink: &str) -> Vec<Value> {
        let lines = |name: &str| fs::read_to_string(self.file(name)).unwrap_or_default();
        let json = |text: &str| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        match sink {
            "json-lines.archive" => lines("archive.jsonl").lines().map(json).collect(),
            "webhook.siem" => {
                lines("webhooks").lines().map(|line| json(line)["message"]["data"].clone()).collect()
            }
            "syslog.siem" => {
                let lines = lines("syslog");
                let ours = lines.lines().filter(|line| line.starts_with("chancery "));
                ours.map(|line| json(&line[line.find('{').expect("JSON")..])).collect()
            }
            _ => {
                let log = lines("collector");
                let bodies =
                    log.lines().filter_map(|line| line.strip_prefix("Body: Str(")?.strip_suffix(')'));
                bodies.filter(|body| body.starts_with("{\"eventId\"")).map(json).collect()
            }
        }
    }
}

fn python() -> PathBuf {
    let python = root().join("target/foreign/venv/bin/python");
    assert!(python.exists(), "there is no {}: tests/run makes it", python.display());
    python
}

fn collector() -> PathBuf {
    let script = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let found = Command::new(python()).args(["-c", script]).output().expect("start python");
    Path::new(text(&found.stdout).trim()).to_owned()
}

/// The value of a metric with these labels.
async fn measured(quickstart: &Quickstart, metric: &str) -> Option<f64> {
    let text = quickstart.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse().ok())
}

async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    for _ in 0..450 {
        if seen().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it did not happen: {what}");
}

async fn call(quickstart: &Quickstart, count: usize) {
    for _ in 0..count {
        let request = quickstart.request(Method::POST, "/api/commands/tenancy.tenants.list");
        let (status, body) = answer(request.header("traceparent", TRACEPARENT).json(&json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, _) =
            quickstart.call("tenancy.children.create", json!({ "parent": "demo", "slug": "a" })).await;
        assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    }
}

async fn all_caught_up(quickstart: &Quickstart) {
    for sink in SINKS {
        until(&format!("{sink} has everything"), async || {
            measured(quickstart, &format!("chancery_audit_backlog{{sink=\"{sink}\"}}")).await == Some(0.0)
        })
        .await;
    }
}

async fn whoever_is_cut_off_catches_up_without_loss(database: Database) {
    let mut receivers = Receivers::new();
    receivers.start();
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    quickstart.configure("[log]", &format!("{}\n[log]", receivers.configuration()));
    quickstart.start();
    call(&quickstart, 10).await;
    all_caught_up(&quickstart).await;
    let before: Vec<_> = SINKS.iter().map(|sink| receivers.had(sink).len()).collect();
    assert!(before.iter().all(|count| *count >= 20), "{before:?}");

    receivers.cut();
    call(&quickstart, 60).await;
    for sink in &SINKS[1..] {
        until(&format!("{sink} is known to fail"), async || {
            measured(&quickstart, &format!("chancery_audit_sink_failing{{sink=\"{sink}\"}}")).await
                == Some(1.0)
        })
        .await;
        until(&format!("what waits for {sink} is counted"), async || {
            let backlog = format!("chancery_audit_backlog{{sink=\"{sink}\"}}");
            measured(&quickstart, &backlog).await.is_some_and(|backlog| backlog >= 120.0)
        })
        .await;
    }
    let (ready, health) = answer(quickstart.request(Method::GET, "/readyz")).await;
    assert_eq!(ready, StatusCode::OK, "a failing sink keeps nobody from being served");
    let failing = json!(["audit.otlp.siem", "audit.syslog.siem", "audit.webhook.siem"]);
    assert_eq!(health["status"], "degraded", "and is named: {health}");
    let mut named = health["failing"].as_array().expect("names").clone();
    named.sort_by_key(Value::to_string);
    assert_eq!(Value::from(named), failing);
    assert!(quickstart.stop(), "nor from stopping");
    quickstart.start();
    call(&quickstart, 5).await;
    receivers.start();
    all_caught_up(&quickstart).await;
    let (_, health) = answer(quickstart.request(Method::GET, "/readyz")).await;
    assert_eq!(health, json!({ "status": "ok" }));
    call(&quickstart, 1).await;
    assert!(quickstart.stop());
    receivers.cut();

    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let recorded: Vec<String> =
        sqlx::query_scalar("SELECT id FROM audit_event").fetch_all(store.reader()).await.unwrap();
    store.close().await;
    let recorded: BTreeSet<_> = recorded.into_iter().collect();
    for sink in SINKS {
        let (mut seen, mut last) = (BTreeSet::new(), std::collections::BTreeMap::new());
        for event in receivers.had(sink) {
            let id = event["eventId"].as_str().expect("an id").to_owned();
            let (scope, place) =
                (event["tenantId"].to_string(), event["sequence"].as_u64().expect("a place"));
            if seen.insert(id) {
                let before = last.insert(scope, place).unwrap_or(0);
                assert_eq!(place, before + 1, "{sink} has each chain in order");
            } else {
                assert_eq!(event["again"], true, "{sink} is told what it may have had");
            }
        }
        assert_eq!(seen, recorded, "{sink} has what was recorded, up to the last event before the end");
    }
    let logged = quickstart.logged();
    for sink in &SINKS[1..] {
        let told =
            logged.lines().filter(|line| line.contains("audit events wait") && line.contains(sink)).count();
        assert!(
            (1..=2).contains(&told),
            "{sink}: an outage is told once by each of two processes, not {told} times"
        );
    }
    let syslog = fs::read_to_string(receivers.file("syslog")).unwrap();
    let denied = "chancery audit.warning license.command.denied {";
    assert!(
        syslog.lines().any(|line| line.starts_with(denied)),
        "facility, severity and name are understood"
    );
    let webhooks = fs::read_to_string(receivers.file("webhooks")).unwrap();
    assert!(
        webhooks.contains("\"traceparent\": \"00-0af7651916cd43dd8448eb211c80319c-"),
        "the trace goes on"
    );
    assert!(!logged.contains(SECRET), "the secret is not logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_catches_up_without_loss_on_sqlite() {
    whoever_is_cut_off_catches_up_without_loss(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_cut_off_catches_up_without_loss_on_postgresql() {
    whoever_is_cut_off_catches_up_without_loss(Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_metrics_and_logs_reach_a_collector_and_nothing_goes_anywhere_else_unasked() {
    let mut receivers = Receivers::new();
    receivers.start();
    let mut quickstart = Quickstart::over(Database::sqlite());
    call(&quickstart, 1).await;
    assert!(quickstart.stop());
    assert!(!fs::read_to_string(receivers.file("collector")).unwrap().contains("chancery"), "off by default");
    quickstart.configure(
        "[log]\nfilter = \"warn,",
        &format!(
            "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:{}\"\ninterval-seconds = 1\n[log]\nfilter = \"info,",
            receivers.ports[1]
        ),
    );
    quickstart.start();
    call(&quickstart, 2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(quickstart.stop(), "what is left is sent before the end");
    receivers.cut();
    let sent = fs::read_to_string(receivers.file("collector")).unwrap();
    for wanted in [
        "Name           : command tenancy.tenants.list",
        "chancery.command.id: Str(tenancy.tenants.list)",
        "chancery.decision: Str(ALLOWED)",
        "chancery.decision: Str(CEILING_EXCEEDED)",
        "chancery.tenant.id: Str(",
        "Trace ID       : 0af7651916cd43dd8448eb211c80319c",
        "Parent ID      : b7ad6b7169203331",
        "chancery_command_duration_seconds",
        "process_resident_memory_bytes",
        "Body: Str(stopping: running calls may finish)",
    ] {
        assert!(
            sent.contains(wanted),
            "`{wanted}` is not in what was sent:\n{}",
            &sent[sent.len().saturating_sub(6000)..]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_take_is_lost_and_counted() {
    let mut quickstart = Quickstart::over(Database::sqlite());
    assert!(quickstart.stop());
    let endpoint =
        format!("[telemetry.otlp]\nendpoint = \"http://127.0.0.1:{}\"\ninterval-seconds = 1\n", free_port());
    quickstart.configure("[log]", &format!("{endpoint}[log]"));
    quickstart.start();
    call(&quickstart, 5).await;
    until("the loss is counted", async || {
        measured(&quickstart, "chancery_telemetry_dropped_total").await >= Some(10.0)
    })
    .await;
    let (ready, _) = answer(quickstart.request(Method::GET, "/readyz")).await;
    assert_eq!(ready, StatusCode::OK);
    assert!(quickstart.stop());
    assert!(quickstart.logged().contains("telemetry is not taken"), "{}", quickstart.logged());
}
