//! Requests per second over HTTP: a bare axum handler, and commands behind the whole column, in turns.
//!
//! The client is `wrk`, with one thread. Both servers share another, the audit task included, up to its sink.

#[expect(dead_code, reason = "the other benches call without HTTP")]
mod cases;
#[expect(dead_code, reason = "the client keeps the time")]
#[path = "../machine.rs"]
mod machine;

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use audit::{Event, Limits, Recorder, Sink, SinkError};
use axum::{Json, Router, routing::post};
use chancery_benches::{Figure, Goal};
use http_api::{
    Api, Authenticate, BoxFuture, Connections, Credential, DenialStatus, Measure, Openings, Ready,
    ResolveTenant, ResolvedTenant, Standing, Unavailable,
};
use kernel::{Ambient, CommandId, Principal, TenantId};
use serde::Deserialize;
use tokio::{net::TcpListener, runtime::Builder};

use machine::introduce;

const CONNECTIONS: &str = "32";
const ROUNDS: usize = 9;
const ROUND: &str = "1s";
const BODY: &str = r#"{"number":7}"#;
/// What a command must reach of the bare handler's requests per second.
const GOAL: f64 = 0.85;

fn main() {
    introduce();
    println!(
        "Requests per second over {CONNECTIONS} connections: median of {ROUNDS} rounds of {ROUND}, in turns.\n"
    );
    let [bare, column] = serve();
    let cases = [
        ("bare axum handler, JSON in and out", bare, "/api/commands/counter.numbers.licensed"),
        ("column, exempt", column, "/api/commands/counter.numbers.exempt"),
        ("column, licensed", column, "/api/commands/counter.numbers.licensed"),
        ("column, licensed, metered in memory", column, "/api/commands/counter.numbers.metered"),
    ];
    let mut rates = vec![Vec::with_capacity(ROUNDS); cases.len()];
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    write!(
        script,
        "wrk.method = 'POST'\nwrk.body = '{BODY}'\nwrk.headers['content-type'] = 'application/json'\n\
         wrk.headers['authorization'] = 'Bearer bench'\n"
    )
    .expect("a file");
    for (_, address, path) in cases {
        check(address, path);
    }
    for _ in 0..ROUNDS {
        for ((_, address, path), rates) in cases.iter().zip(&mut rates) {
            rates.push(round(*address, path, script.path()));
        }
    }
    let mut reference = f64::NAN;
    println!("{:<38}{:>12}{:>10}", "", "per second", "x bare");
    for ((name, ..), mut rates) in cases.iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        Figure::median("http", name, "per second", &rates).tell();
        if reference.is_nan() {
            reference = rate;
        }
        println!("{name:<38}{rate:>12.0}{:>10.2}", rate / reference);
        if *name == "column, licensed" {
            let share = Figure::new("http", "column, licensed, beside bare", "times", rate / reference);
            share.goal(Goal::AtLeast(GOAL)).tell();
            println!("  goal: at least {GOAL}: {}", if rate / reference >= GOAL { "met" } else { "missed" });
        }
    }
}

/// Both servers on one thread, until the process ends.
fn serve() -> [SocketAddr; 2] {
    let (told, addresses) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let recorder = Recorder::start(Taken, Limits::default());
            let testkit = cases::testkit().recording_to(recorder);
            let column = http_api::routes(api(testkit.bus().await)).expect("routes that fit together");
            let bare = Router::new().route("/api/commands/{id}", post(bare));
            let listen = async || {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("an address")).expect("somebody waits");
                listener
            };
            let (first, second) = (listen().await, listen().await);
            let connections = Connections {
                most: 1_024,
                idle: Duration::from_mins(1),
                patience: Duration::from_secs(10),
                tls: None,
                ambient: Ambient::system(),
            };
            let ours = http_api::serve(second, column, connections, std::future::pending(), Duration::ZERO);
            let (bare, ours) = tokio::join!(axum::serve(first, bare), ours);
            bare.and(ours).expect("both serve");
        });
    });
    [(); 2].map(|()| addresses.recv().expect("an address"))
}

#[derive(Deserialize)]
struct Numbers {
    number: u64,
}

async fn bare(Json(input): Json<Numbers>) -> Json<u64> {
    Json(input.number + 1)
}

fn api(bus: kernel::Bus) -> Api {
    Api {
        bus,
        ambient: Ambient::system(),
        authenticator: Arc::new(Known(cases::caller().principal().clone())),
        proxies: Vec::new(),
        openings: Arc::new(Nothing),
        tenants: Arc::new(Nothing),
        ready: Arc::new(Nothing),
        metrics: Arc::new(Nothing),
        production: true,
        denial_status: DenialStatus::default(),
        limits: http_api::Limits { max_body_bytes: 1 << 20, request_timeout: Duration::from_secs(30) },
    }
}

/// Takes every event, and keeps none: what keeping them costs is another bench's question, and a sink that kept all of
/// them in memory would grow by a gigabyte meanwhile.
struct Taken;

impl Sink for Taken {
    async fn write(&mut self, _: &[Event]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Knows one operator. How tokens are looked up is not what is measured.
struct Known(Principal);

impl Authenticate for Known {
    fn authenticate<'a>(
        &'a self,
        _: Credential<'a>,
    ) -> BoxFuture<'a, Result<Option<Principal>, Unavailable>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }

    fn csrf_token(&self, _: &str) -> String {
        String::new()
    }
}

struct Nothing;

impl ResolveTenant for Nothing {
    fn by_slug<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    /// The caller's own.
    fn by_id(&self, id: TenantId) -> BoxFuture<'_, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async move { Ok(Some(ResolvedTenant { id, standing: Standing::Active })) })
    }

    fn by_host<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<ResolvedTenant>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }
}

impl Openings for Nothing {
    fn concern(&self, _: CommandId) -> bool {
        false
    }

    fn are_open(&self) -> BoxFuture<'_, Result<bool, Unavailable>> {
        Box::pin(async { Ok(false) })
    }
}

impl Ready for Nothing {
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

impl Measure for Nothing {
    fn text(&self) -> Result<String, fmt::Error> {
        Ok(String::new())
    }
}

/// One answer, as it must be before anything is counted.
fn check(address: SocketAddr, path: &str) {
    let mut socket = TcpStream::connect(address).expect("it listens");
    let length = BODY.len();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\nauthorization: Bearer bench\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
    .expect("it takes requests");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n8"), "{path}: {answer}");
}

/// Requests per second, as `wrk` counts them.
fn round(address: SocketAddr, path: &str, script: &Path) -> f64 {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", CONNECTIONS, "--duration", ROUND, "--script"])
        .arg(script)
        .arg(format!("http://{address}{path}"))
        .output()
        .expect("`wrk` is not installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{path}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("its rate");
    rate.trim().parse().expect("a number")
}
