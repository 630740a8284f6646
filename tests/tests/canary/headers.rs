//! Headers: those that the program names anywhere, as its source has them, and others that are sent to it.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use chancery_acceptance::root;

use crate::CANARY;

/// Read by what the program stands on, or sent by browsers, proxies and tools.
const OTHERS: [&str; 31] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "expect-ct",
    "forwarded",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "last-event-id",
    "proxy-authorization",
    "range",
    "referer",
    "sec-fetch-mode",
    "te",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-api-key",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-tenant-id",
];

/// It is there to be recorded.
const CORRELATION_ID: &str = "x-correlation-id";

/// What the secret stands in.
pub(crate) fn values() -> [String; 7] {
    [
        CANARY.to_owned(),
        format!("Bearer {CANARY}"),
        format!("Basic {CANARY} {CANARY}"),
        format!("__Host-chancery-session={CANARY}; chancery-theme={CANARY}; {CANARY}={CANARY}"),
        format!("application/json; charset={CANARY}"),
        format!("https://{CANARY}.example.com/{CANARY}"),
        format!("127.0.0.1, {CANARY}"),
    ]
}

/// The headers that the secret is sent in. `described` are those of the program's own description.
pub(crate) fn names(described: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut names: BTreeSet<_> = named_in(&root().join("server"));
    names.extend(named_in(&root().join("modules")));
    // One for each way to name a header.
    for known in ["authorization", "cookie", "x-csrf-token", "traceparent"] {
        assert!(names.contains(known), "the source is read: {known} is not in {names:?}");
    }
    names.extend(described.map(|name| name.to_ascii_lowercase()));
    names.extend(OTHERS.map(str::to_owned));
    assert!(names.remove(CORRELATION_ID));
    names
}

/// Every header that the source in this folder names, to be read or written.
fn named_in(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("a file of the project").path();
        if path.is_dir() {
            names.extend(named_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(named_by(&fs::read_to_string(path).expect("a source file")));
        }
    }
    names
}

fn named_by(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // `header::{HOST, ORIGIN}`, `header::HOST`
    for rest in source.split("header::").skip(1) {
        let listed = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or_default(),
        };
        let constants = listed.split(',').map(str::trim);
        let constants = constants.filter(|name| {
            name.len() > 1 && name.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit())
        });
        names.extend(constants.map(|name| name.to_ascii_lowercase().replace('_', "-")));
    }
    // `HeaderName::from_static("…")`, `headers.get("…")`, `headers().get_all("…")`, over lines too
    let flat: String = source.split_whitespace().collect();
    for before in ["HeaderName::from_static(\"", "headers.get", "headers().get", "headers_mut().get"] {
        for rest in flat.split(before).skip(1) {
            let rest = rest.strip_prefix("_all").unwrap_or(rest);
            let literal = rest.strip_prefix("(\"").unwrap_or(if before.ends_with('"') { rest } else { "" });
            names.extend(literal.split_once('"').map(|(name, _)| name.to_ascii_lowercase()));
        }
    }
    names
}

/// The answer to a request that is written by hand: clients send no header that breaks their own requests.
pub(crate) fn ask(
    address: &str,
    line: &str,
    token: Option<&str>,
    header: &str,
    value: &str,
) -> (String, String) {
    let mut request = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
    let authorization = token.map(|token| format!("Bearer {token}"));
    let usual = [
        ("host", Some(address)),
        ("content-length", Some("2")),
        ("content-type", Some("application/json")),
        ("authorization", authorization.as_deref()),
    ];
    let usual = usual.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in usual.filter(|(name, _)| *name != header).chain([(header, value)]) {
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time to wait");
    stream.write_all(format!("{request}\r\n{{}}").as_bytes()).expect("it takes a request");
    let mut answer = Vec::new();
    // A server that takes the request for a broken one may end the connection before it has read all of it.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}
