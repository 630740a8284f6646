//! Requests per second over HTTP: a bare axum handler, and commands behind the whole column, in turns.
//!
//! The client is a loop over raw sockets, so that as little as possible of the two is its own work. It has a thread of
//! its own, and so has the server, the audit task included.

#[expect(dead_code, reason = "the other benches call without HTTP")]
mod cases;
#[path = "../machine.rs"]
mod machine;

use std::{fmt, net::SocketAddr, sync::Arc, thread, time::Duration};

use axum::{Json, Router, routing::post};
use chancery_benches::{Figure, Goal};
use http_api::{
    Api, Authenticate, BoxFuture, Connections, Credential, DenialStatus, Measure, Openings, Ready,
    ResolveTenant, ResolvedTenant, Standing, Unavailable,
};
use kernel::{Ambient, CommandId, Principal, TenantId};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    time::timeout,
};

use machine::{clock, introduce};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(700);
/// What a command must reach of the bare handler's requests per second.
const GOAL: f64 = 0.85;

fn main() {
    introduce();
    println!(
        "Requests per second over {CONNECTIONS} connections: median of {ROUNDS} rounds of {} ms, in turns.\n",
        ROUND.as_millis()
    );
    let [bare, column] = serve();
    let cases = [
        ("bare axum handler, JSON in and out", bare, "/api/commands/counter.numbers.licensed"),
        ("column, exempt", column, "/api/commands/counter.numbers.exempt"),
        ("column, licensed", column, "/api/commands/counter.numbers.licensed"),
        ("column, licensed, metered in memory", column, "/api/commands/counter.numbers.metered"),
    ];
    let mut rates = vec![Vec::with_capacity(ROUNDS); cases.len()];
    let client = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for _ in 0..ROUNDS {
        for ((_, address, path), rates) in cases.iter().zip(&mut rates) {
            rates.push(client.block_on(round(*address, path)));
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
            let testkit = cases::testkit();
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

/// Requests per second.
async fn round(address: SocketAddr, path: &str) -> f64 {
    let request: Arc<[u8]> = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer bench\r\n\
         content-type: application/json\r\ncontent-length: 12\r\n\r\n{{\"number\":7}}"
    )
    .into_bytes()
    .into();
    let connected: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(connect(address, Arc::clone(&request)))).collect();
    let mut calling = Vec::with_capacity(CONNECTIONS);
    for connection in connected {
        calling.push(connection.await.expect("a connection"));
    }
    let start = clock();
    let calling: Vec<_> = calling
        .into_iter()
        .map(|(socket, length)| tokio::spawn(call(socket, length, Arc::clone(&request))))
        .collect();
    let mut answered = 0.0;
    for caller in calling {
        answered += caller.await.expect("every request is answered");
    }
    answered / start.elapsed().as_secs_f64()
}

/// A connection, and the length of its answers, which is always the same.
async fn connect(address: SocketAddr, request: Arc<[u8]>) -> (TcpStream, usize) {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    socket.set_nodelay(true).expect("a socket");
    socket.write_all(&request).await.expect("it takes requests");
    let mut answer = vec![0; 4096];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n8") {
        let read = socket.read(&mut answer[length..]).await.expect("it answers");
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    (socket, length)
}

async fn call(mut socket: TcpStream, length: usize, request: Arc<[u8]>) -> f64 {
    let (mut answer, mut answered) = (vec![0; length], 0.0);
    let calls = async {
        loop {
            socket.write_all(&request).await.expect("it takes requests");
            socket.read_exact(&mut answer).await.expect("it answers");
            assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\n8"));
            answered += 1.0;
        }
    };
    drop(timeout(ROUND, calls).await);
    answered
}
