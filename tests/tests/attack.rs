//! The program under attack from the network: what is no request, what never ends, what is too large, and too many at once.
//! Each is refused with the body every failure has, nothing panics, and whoever behaves is served meanwhile.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use chancery_acceptance::{Quickstart, answer, text};
use kit::Database;
use reqwest::{Method, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// A server of its own, configured with these lines of `[server]`.
fn server(lines: &str) -> Quickstart {
    let mut server = Quickstart::over(Database::sqlite());
    if !lines.is_empty() {
        assert!(server.stop());
        server.configure("[server]\n", &format!("[server]\n{lines}\n"));
        server.start();
    }
    server
}

fn address(server: &Quickstart) -> SocketAddr {
    let url = server.credentials()["url"].as_str().unwrap().to_owned();
    url.rsplit_once("//").unwrap().1.parse().unwrap()
}

/// A request of this head and body, by a client of its own.
fn head(first: &str, fields: &str) -> Vec<u8> {
    format!("{first} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n").into_bytes()
}

fn call(server: &Quickstart, id: &str, fields: &str) -> Vec<u8> {
    let token = server.credentials()["token"].as_str().unwrap().to_owned();
    let fields = format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n{fields}");
    head(&format!("POST /api/commands/{id}"), &fields)
}

/// An answer as it came.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

/// Everything that is answered to these bytes, until the server closes the connection or says nothing for a while.
async fn answers(server: &Quickstart, bytes: &[u8]) -> Vec<Answered> {
    let mut stream = TcpStream::connect(address(server)).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut got = Vec::new();
    let sent = async {
        // A server that has heard enough does not listen to the end.
        let _ = writing.write_all(bytes).await;
    };
    let read = async {
        let mut part = vec![0; 65_536];
        while let Ok(Ok(length @ 1..)) = timeout(Duration::from_secs(3), reading.read(&mut part)).await {
            got.extend_from_slice(&part[..length]);
        }
    };
    tokio::join!(sent, read);
    parse(&got)
}

fn parse(bytes: &[u8]) -> Vec<Answered> {
    let mut rest = String::from_utf8_lossy(bytes).into_owned();
    let mut found = Vec::new();
    while let Some(end) = rest.find("\r\n\r\n") {
        let head = rest[..end].to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse::<usize>().unwrap());
        let body = rest[end + 4..].get(..length).unwrap_or_else(|| panic!("a whole body: {rest}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        found.push(Answered { status, head: head.clone(), body: body.to_owned() });
        rest.drain(..end + 4 + length);
    }
    assert_eq!(rest, "", "nothing but answers");
    found
}

/// The body that every failure has, and the correlation id in it and beside it.
#[track_caller]
fn refused(name: &str, answered: &Answered) -> String {
    let Answered { status, head, body } = answered;
    assert!((400..600).contains(status), "{name}: {answered:?}");
    assert_ne!(*status, 500, "{name}: a defect: {answered:?}");
    let json: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}: {answered:?}"));
    let error = json["error"].as_object().unwrap_or_else(|| panic!("{name}: {answered:?}"));
    let keys: Vec<_> = error.keys().map(String::as_str).collect();
    assert_eq!(keys, ["code", "message", "category", "correlationId", "details"], "{name}");
    let correlation = error["correlationId"].as_str().unwrap();
    assert!(head.contains(&format!("\r\nx-correlation-id: {correlation}")), "{name}: {answered:?}");
    assert!(head.contains("\r\ncontent-type: application/json"), "{name}: {answered:?}");
    error["code"].as_str().unwrap().to_owned()
}

/// It serves, nothing in it has panicked, and no secret is in its log.
async fn unharmed(server: &Quickstart) {
    let (status, _) = server.call("tenancy.tenants.list", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let log = server.logged();
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains(server.credentials()["token"].as_str().unwrap()), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_with_the_body_of_every_failure() {
    let server = server("");
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let large = format!("x-large: {}\r\n", "a".repeat(70_000));
    let post = |fields: &str| head("POST /api/commands/health.live.check", fields);
    let table: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n".into(), 400, "invalid_header"),
        ("two hosts", head("GET /healthz", "host: other\r\n"), 400, "invalid_header"),
        ("bytes", b"\x00\x01\x02\x03\r\n\r\n".into(), 400, "malformed_request"),
        (
            "a TLS hello",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n".into(),
            400,
            "malformed_request",
        ),
        ("HTTP/0.9", b"GET /healthz\r\n\r\n".into(), 400, "malformed_request"),
        ("HTTP/1.7", b"GET /healthz HTTP/1.7\r\nhost: a\r\n\r\n".into(), 400, "malformed_request"),
        ("a field without a colon", head("GET /healthz", "nothing\r\n"), 400, "malformed_request"),
        ("a space before the colon", head("GET /healthz", "name : value\r\n"), 400, "malformed_request"),
        ("a folded field", head("GET /healthz", "name: value\r\n more\r\n"), 400, "malformed_request"),
        ("NUL in a field", head("GET /healthz", "name: a\0b\r\n"), 400, "malformed_request"),
        ("a bare CR in a field", head("GET /healthz", "name: a\rb\r\n"), 400, "malformed_request"),
        ("101 fields", head("GET /healthz", &many(100)), 431, "headers_too_large"),
        ("5000 fields", head("GET /healthz", &many(5_000)), 431, "headers_too_large"),
        ("a field of 70 kB", head("GET /healthz", &large), 431, "headers_too_large"),
        ("an address of 70 kB", head(&format!("GET /{}", "a".repeat(70_000)), ""), 431, "headers_too_large"),
        ("two lengths", post("content-length: 1\r\ncontent-length: 2\r\n"), 400, "malformed_request"),
        ("two lengths in a list", post("content-length: 1, 2\r\n"), 400, "malformed_request"),
        ("a negative length", post("content-length: -1\r\n"), 400, "malformed_request"),
        ("a length with a plus", post("content-length: +1\r\n"), 400, "malformed_request"),
        ("a length in hex", post("content-length: 0x1\r\n"), 400, "malformed_request"),
        (
            "a length beyond 64 bits",
            post("content-length: 18446744073709551616\r\n"),
            400,
            "malformed_request",
        ),
        ("a coding nobody knows", post("transfer-encoding: gzip\r\n"), 400, "malformed_request"),
        ("chunked, but not at the end", post("transfer-encoding: chunked, x\r\n"), 400, "malformed_request"),
        (
            "chunked before its time",
            b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            400,
            "malformed_request",
        ),
        (
            "a tunnel",
            b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n".into(),
            404,
            "unknown_path",
        ),
        ("TRACE", head("TRACE /healthz", ""), 405, "method_not_allowed"),
        ("a method of one's own", head("FROB /healthz", ""), 405, "method_not_allowed"),
        (
            "a correlation id that is none",
            head("GET /healthz", "x-correlation-id: a b\r\n"),
            400,
            "invalid_header",
        ),
        (
            "a correlation id without end",
            head("GET /healthz", &format!("x-correlation-id: {}\r\n", "a".repeat(5_000))),
            400,
            "invalid_header",
        ),
    ];
    for (name, bytes, status, code) in &table {
        let answered = answers(&server, bytes).await;
        let [answered] = answered.as_slice() else { panic!("{name}: one answer, not {answered:?}") };
        assert_eq!((refused(name, answered).as_str(), answered.status), (*code, *status), "{name}");
    }
    // HTTP/2 is not spoken here, so there are no streams to reset and no headers to go on with.
    assert!(answers(&server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.is_empty());
    unharmed(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_hidden_in_another_is_never_one() {
    let server = server("");
    let hidden = "GET /api/commands HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let length = hidden.len() + 5;
    // One reader takes the length, another the chunks. Here the chunks count, and nothing follows them.
    for fields in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\nTransfer-Encoding:\tchunked\r\n"),
    ] {
        let mut bytes = head("POST /api/commands/health.live.check", &fields);
        bytes.extend_from_slice(format!("0\r\n\r\n{hidden}").as_bytes());
        let answered = answers(&server, &bytes).await;
        assert_eq!(answered.len(), 1, "{fields}: {answered:?}");
        assert!(answered[0].head.contains("connection: close"), "{fields}: {answered:?}");
    }
    // A length that is said twice alike is one length: the rest is the next request, as everybody reads it.
    let mut bytes =
        head("POST /api/commands/health.live.check", "content-length: 0\r\ncontent-length: 0\r\n");
    bytes.extend_from_slice(hidden.as_bytes());
    assert_eq!(answers(&server, &bytes).await.len(), 2);
    // Chunks whose sizes are read differently by different readers.
    for chunks in
        ["FFFFFFFFFFFFFFFFF\r\n", "-1\r\n", "0x0\r\n\r\n", "1\nA\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n"]
    {
        let mut bytes = call(&server, "health.live.check", "transfer-encoding: chunked\r\n");
        bytes.extend_from_slice(chunks.as_bytes());
        let answered = answers(&server, &bytes).await;
        assert_eq!(answered.len(), 1, "{chunks:?}: {answered:?}");
        assert_eq!(refused(chunks, &answered[0]), "incomplete_body");
    }
    unharmed(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_spelling_a_path_or_a_method_leads_elsewhere() {
    let server = server("");
    let token = server.credentials()["token"].as_str().unwrap().to_owned();
    let bearer = format!("authorization: Bearer {token}\r\n");
    for path in [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/..%5c..%5cetc%5cpasswd",
        "/api/commands/../../healthz",
        "/api/./commands",
        "//healthz",
        "/healthz/",
        "/healthz%00",
        "/healthz;a=b",
        "/HEALTHZ",
        "/%68ealthz",
        "/api//commands",
        "/api/commands/",
        "/api/commands/tenancy.tenants.list/..",
        "/api/commands/tenancy.tenants.list%2f..",
        "/api/commands/tenancy.tenants.list%00",
        "/api/commands/%c0%af",
        "/api/commands/%ff",
        "/api/commands/%zz",
        "/api/commands/%252e",
        "/api/platform/admin/v1/tenants/%2e%2e",
        "/api/platform/admin/v1/tenants/demo%00",
        "/api/platform/admin/v1/tenants/DEMO",
        "/api/platform/admin/v1/tenants/demo%2f",
        "*",
    ] {
        let answered =
            answers(&server, &head(&format!("GET {path}"), &format!("{bearer}connection: close\r\n"))).await;
        assert_eq!(answered.len(), 1, "{path}: {answered:?}");
        refused(path, &answered[0]);
        assert!(matches!(answered[0].status, 400 | 404 | 405), "{path}: {answered:?}");
    }
    // A path may be spelled in escapes; who may call does not depend on it.
    let escaped = head("POST /api/commands/tenancy%2Etenants%2elist", "connection: close\r\n");
    assert_eq!(answers(&server, &escaped).await[0].status, 401);
    // The method is the first word of a request, and nothing else is.
    let url = "/api/platform/admin/v1/application/license";
    for fields in
        ["x-http-method-override: DELETE\r\n", "x-method-override: DELETE\r\n", "x-http-method: DELETE\r\n"]
    {
        let fields = format!("{bearer}{fields}connection: close\r\n");
        let answered = answers(&server, &head(&format!("GET {url}"), &fields)).await;
        assert!(answered[0].body.contains(r#""status":"ACTIVE""#), "{answered:?}");
    }
    let before = answer(server.request(Method::GET, url)).await.1;
    assert_eq!(before["status"], "ACTIVE");
    unharmed(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_queries_that_are_too_deep_too_large_or_nothing_are_refused() {
    let server = server("");
    let with_length = |body: &[u8]| {
        let mut bytes = call(
            &server,
            "tenancy.tenants.create",
            &format!("content-length: {}\r\nconnection: close\r\n", body.len()),
        );
        bytes.extend_from_slice(body);
        bytes
    };
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
    let huge = format!(r#"{{"slug":"{}"}}"#, "a".repeat(2 * 1024 * 1024));
    let digits = format!(r#"{{"slug":{}}}"#, "9".repeat(900_000));
    let table: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("100,000 arrays", deep("[", "]", 100_000).into(), 400, "malformed_json"),
        ("100,000 objects", deep("{\"a\":", "}", 100_000).into(), 400, "malformed_json"),
        ("100 arrays", deep("[", "]", 100).into(), 400, "invalid_input"),
        ("arrays without an end", "[".repeat(500_000).into(), 400, "malformed_json"),
        ("two megabytes", huge.clone().into(), 413, "body_too_large"),
        ("900,000 digits", digits.into(), 400, "malformed_json"),
        ("an exponent", br#"{"slug":1e999999999}"#.to_vec(), 400, "malformed_json"),
        ("no UTF-8", b"{\"slug\":\"\xc0\xaf\"}".to_vec(), 400, "malformed_json"),
        ("half a surrogate", br#"{"slug":"\ud800"}"#.to_vec(), 400, "malformed_json"),
        ("NUL", b"{\"slug\":\"a\0\"}".to_vec(), 400, "malformed_json"),
        ("a slug of NUL", br#"{"slug":"\u0000"}"#.to_vec(), 400, "invalid_input"),
        ("a field nobody knows", br#"{"slug":"abc","__proto__":{}}"#.to_vec(), 400, "invalid_input"),
        ("two documents", b"{}{}".to_vec(), 400, "malformed_json"),
    ];
    for (name, body, status, code) in &table {
        let answered = answers(&server, &with_length(body)).await;
        let [answered] = answered.as_slice() else { panic!("{name}: one answer, not {answered:?}") };
        assert_eq!((refused(name, answered).as_str(), answered.status), (*code, *status), "{name}");
        assert!(answered.body.len() < 2_000, "{name}: what was sent is not repeated at length");
    }
    let mut chunked = call(&server, "tenancy.tenants.create", "transfer-encoding: chunked\r\n");
    for _ in 0..64 {
        chunked.extend_from_slice(format!("8000\r\n{}\r\n", "a".repeat(0x8000)).as_bytes());
    }
    let answered = answers(&server, &chunked).await;
    assert_eq!(refused("chunks without end", &answered[0]), "body_too_large");

    let query = |query: &str| {
        let token = server.credentials()["token"].as_str().unwrap().to_owned();
        let fields = format!("authorization: Bearer {token}\r\nconnection: close\r\n");
        head(&format!("GET /api/platform/admin/v1/tenants?{query}"), &fields)
    };
    let many: String = (0..8_000).map(|n| format!("p{n}=&")).collect();
    for (name, text, code) in [
        ("8,000 parameters", many.as_str(), "malformed_query"),
        ("60 kB of one", &format!("limit={}", "9".repeat(60_000)), "invalid_input"),
        ("a parameter twice", "limit=1&limit=2", "invalid_input"),
        ("a tenant twice", "tenant=demo&tenant=acme", "invalid_input"),
        ("a tenant twice, escaped", "tenant=demo&%74enant=acme", "invalid_input"),
        ("a parameter nobody knows", "limits=1", "invalid_input"),
        ("a tenant that is none", "tenant=demo%00", "invalid_tenant"),
    ] {
        let began = Instant::now();
        let answered = answers(&server, &query(text)).await;
        assert_eq!(refused(name, &answered[0]), code, "{name}");
        assert!(began.elapsed() < Duration::from_secs(2), "{name}");
    }
    unharmed(&server).await;
}

/// How many sockets a process has open.
fn sockets(process: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let leads_to = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    leads_to.filter(|path| path.to_string_lossy().starts_with("socket:")).count()
}

/// Reads until the server closes the connection: what it said, and how long that took.
async fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let (began, mut got) = (Instant::now(), Vec::new());
    let ended = timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
    assert!(ended.is_ok(), "the connection stays open");
    (String::from_utf8_lossy(&got).into_owned(), began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_not_waited_for() {
    let server = server("patience-seconds = 1\nidle-timeout-seconds = 3\nrequest-timeout-seconds = 2");
    let at = address(&server);
    let before = sockets(server.process_id());
    let drip = |bytes: Vec<u8>| async move {
        let stream = TcpStream::connect(at).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let dripping = tokio::spawn(async move {
            for byte in bytes {
                if writing.write_all(&[byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        let (began, mut got) = (Instant::now(), Vec::new());
        let ended = timeout(Duration::from_secs(20), reading.read_to_end(&mut got)).await;
        assert!(ended.is_ok(), "the connection stays open");
        dripping.abort();
        (parse(&got), began.elapsed())
    };
    let mut slow_body = call(&server, "tenancy.tenants.create", "content-length: 1000\r\n");
    let slow_head = head("GET /healthz", &"x: y\r\n".repeat(90));
    let silent = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        until_closed(&mut stream).await
    };
    let half_a_body = async {
        slow_body.extend_from_slice(b"{\"slug\":");
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&slow_body).await.unwrap();
        until_closed(&mut stream).await
    };
    let idle_after_a_request = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&head("GET /healthz", "")).await.unwrap();
        until_closed(&mut stream).await
    };
    // They ask for much, and take nothing in. They stay as long as they are let.
    let deaf = async {
        let asked = head("GET /openapi.json", "").repeat(2_000);
        let mut deaf = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(at).await.unwrap();
            let _ = timeout(Duration::from_millis(100), stream.write_all(&asked)).await;
            deaf.push(stream);
        }
        deaf
    };
    let behaved = async {
        for _ in 0..50 {
            let (status, _) = server.call("tenancy.tenants.list", json!({})).await;
            assert_eq!(status, StatusCode::OK);
            sleep(Duration::from_millis(20)).await;
        }
    };
    let (slow_head, silent, half_a_body, idle, _deaf, ()) =
        tokio::join!(drip(slow_head), silent, half_a_body, idle_after_a_request, deaf, behaved);

    assert_eq!(refused("a slow head", &slow_head.0[0]), "request_timeout");
    assert_eq!(slow_head.0[0].status, 408);
    assert!(slow_head.1 < Duration::from_secs(4), "{slow_head:?}");
    assert_eq!(silent.0, "", "nothing is said to whom nothing said");
    let half = parse(half_a_body.0.as_bytes());
    assert_eq!((refused("half a body", &half[0]).as_str(), half[0].status), ("request_timeout", 408));
    assert_eq!(parse(idle.0.as_bytes())[0].status, 200);
    assert!(
        idle.1 > Duration::from_secs(2),
        "a connection may be idle for longer than a head may take: {idle:?}"
    );
    for (_, took) in [silent, half_a_body, idle] {
        assert!(took < Duration::from_secs(8), "{took:?}");
    }
    let began = Instant::now();
    while sockets(server.process_id()) > before + 5 {
        let now = sockets(server.process_id());
        assert!(began.elapsed() < Duration::from_secs(10), "{now} sockets are open, {before} were");
        sleep(Duration::from_millis(100)).await;
    }
    unharmed(&server).await;
}

/// Resident memory in MB, without what is mapped from files: the program itself is large in a debug build.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// So many connections, each having said this; fewer where this process may not have as many.
async fn crowd(at: SocketAddr, wanted: u64, said: &[u8]) -> Vec<TcpStream> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = wanted + 200;
    if current.is_some_and(|files| files < needed) {
        let raised = Rlimit { current: Some(maximum.unwrap_or(needed).min(needed)), maximum };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
    let may = getrlimit(Resource::Nofile).current.unwrap_or(needed).saturating_sub(200);
    if may < wanted {
        eprintln!("this process may open {may} connections, not {wanted}");
    }
    let mut crowd = Vec::new();
    for _ in 0..may.min(wanted) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        if !said.is_empty() {
            let _ = stream.write_all(said).await;
        }
        crowd.push(stream);
    }
    crowd
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out() {
    let server = server("");
    let at = address(&server);
    let calls = async || {
        let began = Instant::now();
        for _ in 0..20 {
            let (status, _) = server.call("tenancy.tenants.list", json!({})).await;
            assert_eq!(status, StatusCode::OK);
        }
        began.elapsed()
    };
    calls().await;
    let (alone, before) = (calls().await, resident(server.process_id()));
    let mut held = Vec::new();
    for (said, most) in [(b"".as_slice(), 40), (b"GET /heal", 250)] {
        drop(std::mem::take(&mut held));
        held = crowd(at, 10_000, said).await;
        let (took, now) = (calls().await, resident(server.process_id()));
        eprintln!(
            "{} connections that said {} bytes: {before} MB, then {now} MB; 20 calls in {took:?}, {alone:?} alone",
            held.len(),
            said.len()
        );
        assert!(now < before + most, "{before} MB, then {now} MB");
        assert!(took < alone * 5 + Duration::from_secs(5), "{took:?}, {alone:?} alone");
    }
    unharmed(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_configured_number_make_room_for_whoever_speaks() {
    let server = server("max-connections = 100");
    let at = address(&server);
    for said in
        [b"".as_slice(), b"GET /heal", &call(&server, "tenancy.tenants.create", "content-length: 9\r\n")]
    {
        let held = crowd(at, 2_000, said).await;
        for _ in 0..20 {
            let (status, _) = server.call("tenancy.tenants.list", json!({})).await;
            assert_eq!(status, StatusCode::OK);
        }
        sleep(Duration::from_millis(300)).await;
        let open = sockets(server.process_id());
        assert!(open < 100 + 30, "{open} sockets are open");
        drop(held);
    }
    unharmed(&server).await;
}

/// A certificate for `127.0.0.1` and its key.
fn certify(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key.new", "-out", "tls.pem.new"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    for name in ["tls.key", "tls.pem"] {
        fs::rename(folder.join(format!("{name}.new")), folder.join(name)).unwrap();
    }
}

fn trusting(certificate: &[u8]) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(certificate).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([root])
        .timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// How `openssl s_client` fares with this option.
fn speaks(at: SocketAddr, version: &str) -> bool {
    // What the client itself would rather not speak, it speaks here.
    let client = Command::new("openssl")
        .args(["s_client", "-connect", &at.to_string(), version, "-cipher", "DEFAULT@SECLEVEL=0"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    client.status.success() && !text(&client.stdout).contains("Cipher is (NONE)")
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_begins_at_1_2_and_its_certificate_is_renewed_without_a_restart() {
    let mut server = server("patience-seconds = 4");
    assert!(server.stop());
    let folder = server.path("");
    certify(&folder);
    server.configure(
        "[deployment]",
        "[server.tls]\ncertificate-path = \"tls.pem\"\nprivate-key-path = \"tls.key\"\n\n[deployment]",
    );
    server.start();
    let url = server.credentials()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://"), "{url}");
    let at = address(&server);
    let first = fs::read(folder.join("tls.pem")).unwrap();
    let get = async |certificate: &[u8]| trusting(certificate).get(format!("{url}/healthz")).send().await;
    assert_eq!(get(&first).await.unwrap().status(), 200);
    assert!(speaks(at, "-tls1_2") && speaks(at, "-tls1_3"));
    assert!(!speaks(at, "-tls1_1") && !speaks(at, "-tls1"));

    // Whoever does not begin TLS, or speaks without it, is not waited for.
    let mut silent = TcpStream::connect(at).await.unwrap();
    silent.write_all(b"\x16\x03\x01").await.unwrap();
    assert!(until_closed(&mut silent).await.1 < Duration::from_secs(10));
    let mut plain = TcpStream::connect(at).await.unwrap();
    plain.write_all(&head("GET /healthz", "")).await.unwrap();
    let mut got = Vec::new();
    let _ = timeout(Duration::from_secs(5), plain.read_to_end(&mut got)).await.expect("it is closed");
    assert!(!text(&got).contains("HTTP"), "{}", text(&got));

    // A key that is not of the certificate changes nothing.
    let key = fs::read(folder.join("tls.key")).unwrap();
    fs::write(folder.join("tls.key"), "no key").unwrap();
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(get(&first).await.unwrap().status(), 200);
    fs::write(folder.join("tls.key"), &key).unwrap();

    certify(&folder);
    let second = fs::read(folder.join("tls.pem")).unwrap();
    let began = Instant::now();
    while get(&second).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "the certificate is not renewed");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(get(&first).await.is_err(), "the old one is not served any more");
    let log = server.logged();
    let lines: Vec<_> = text(&key).lines().map(str::to_owned).collect();
    assert!(!log.contains(lines[1].as_str()) && !log.contains("panicked"), "{log}");

    assert!(server.stop());
    fs::write(folder.join("tls.key"), "no key").unwrap();
    let refused = server.chancery(["serve"]);
    assert_eq!(refused.status.code(), Some(78), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("server.tls"), "{}", text(&refused.stderr));
}
