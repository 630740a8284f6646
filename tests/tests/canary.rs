//! A secret that is sent everywhere is found nowhere: through every field of every command, every header and the
//! configuration; in no log, trace, metric, audit row, export or error. At the most talkative level of logging there is.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use chancery_acceptance::{Quickstart, text};
use kit::Database;
use reqwest::Method;
use serde_json::{Map, Value, json};
use store::{
    Options, Store,
    sqlx::{self, AssertSqlSafe},
};

/// What no text of ours holds by chance. It is a slug, too, so that it comes as far as it can.
const CANARY: &str = "canary-5ec2e7";

/// In the configuration: as the header, as part of an address, and as the key that webhooks are signed with.
const KEY: &str = "whsec_Y2FuYXJ5LTVlYzJlNy1jYW5hcnktNWVjMmU3";

/// Takes whatever is sent over HTTP and keeps it.
struct Collector {
    address: String,
    had: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let had = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&had);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut bytes = Vec::new();
                    let mut part = vec![0; 65536];
                    while let Ok(count) = stream.read(&mut part)
                        && count > 0
                    {
                        bytes.extend_from_slice(&part[..count]);
                        while let Some(body) = complete(&mut bytes) {
                            kept.lock().unwrap().extend_from_slice(&body);
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                        }
                    }
                });
            }
        });
        Self { address, had }
    }
}

/// The body of a request, once all of it is there. Headers are left out: the secret belongs there.
fn complete(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let headers = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?
        .trim()
        .parse::<usize>()
        .ok()?;
    (bytes.len() >= head + 4 + length).then(|| bytes.drain(..head + 4 + length).skip(head + 4).collect())
}

/// An input whose every text is the canary.
fn filled(schema: &Value, root: &Value, depth: u32) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return filled(root.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null), root, depth + 1);
    }
    for either in ["anyOf", "oneOf", "allOf"] {
        let branches = schema[either].as_array().into_iter().flatten();
        if let Some(branch) = branches.into_iter().find(|branch| branch["type"] != "null") {
            return filled(branch, root, depth + 1);
        }
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().find_map(|name| name.as_str().filter(|name| *name != "null")),
        other => other.as_str(),
    };
    match types {
        _ if depth > 12 => Value::Null,
        Some("object") => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            fields
                .iter()
                .map(|(name, field)| (name.clone(), filled(field, root, depth + 1)))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => json!([filled(&schema["items"], root, depth + 1)]),
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(1).into(),
        Some("boolean") => true.into(),
        _ => CANARY.into(),
    }
}

/// The same input with one text at a time, the rest left out where it may be: so that each comes as far as it can.
fn one_by_one(input: &Value, required: &BTreeSet<&str>) -> Vec<Value> {
    let Some(fields) = input.as_object() else { return Vec::new() };
    let of = |name: &String| {
        let kept = fields.iter().filter(|(other, _)| *other == name || required.contains(other.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
    };
    fields.keys().map(of).collect()
}

#[expect(clippy::too_many_lines, reason = "one walk through everything, in its order")]
async fn a_secret_that_is_sent_everywhere_is_found_nowhere(database: Database) {
    let collector = Collector::start();
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    quickstart.configure(r#""warn,chancery_license=info""#, r#""trace""#);
    let address = &collector.address;
    let secrets = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (authorization, key) = (secret("authorization", &format!("Bearer {CANARY}")), secret("key", KEY));
    let good = secret("good", &format!("http://{address}/{CANARY}"));
    let bad = secret("bad", &format!("http://{CANARY}:{CANARY}@127.0.0.1:1/{CANARY}?token={CANARY}"));
    quickstart.configure(
        "[log]",
        &format!(
            r#"
            [telemetry.otlp]
            endpoint = "http://{address}"
            authorization = "file:{authorization}"
            interval-seconds = 1
            [audit.json-lines.archive]
            path = "archive.jsonl"
            [audit.otlp.good]
            endpoint = "http://{address}"
            authorization = "file:{authorization}"
            [audit.webhook.good]
            url = "file:{good}"
            secret = "file:{key}"
            [audit.webhook.bad]
            url = "file:{bad}"
            secret = "file:{key}"
            [audit.otlp.bad]
            endpoint = "http://127.0.0.1:1"
            authorization = "file:{authorization}"
            [log]
            "#
        ),
    );
    quickstart.start();
    let client = reqwest::Client::new();
    let credentials = quickstart.credentials();
    let (url, token) = (credentials["url"].as_str().unwrap(), credentials["token"].as_str().unwrap());
    let operator =
        |method: Method, path: &str| client.request(method, format!("{url}{path}")).bearer_auth(token);
    let mut told = Vec::new();
    let mut tell = async |what: String, request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let status = answer.status();
        let headers = format!("{:?}", answer.headers());
        let body = answer.text().await.unwrap();
        if !status.is_success() {
            told.push((format!("{status} of {what}"), headers + &body));
        }
        status
    };

    let inventory = operator(Method::GET, "/api/commands").send().await.unwrap();
    let inventory: Value = inventory.json().await.unwrap();
    let commands =
        inventory["commands"].as_array().or(inventory.as_array()).expect("a list of commands").clone();
    let shown: BTreeSet<_> = commands.iter().filter_map(|command| command["id"].as_str()).collect();
    let report = quickstart.chancery(["coverage", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).expect("the coverage report");
    // What is for the program itself is mounted nowhere, and the setup is over: neither takes anything from anybody.
    let open = report["commands"].as_array().expect("a list of commands").iter();
    let open = open.filter(|command| command["mode"] != "INTERNAL_SYSTEM").filter_map(|it| it["id"].as_str());
    let open: BTreeSet<_> = open.filter(|id| !id.starts_with("setup.")).collect();
    assert_eq!(shown, open, "every command of the registry is called");
    let (mut accepted, mut refused) = (0, 0);
    for command in &commands {
        let id = command["id"].as_str().expect("an id");
        let shown = operator(Method::GET, &format!("/api/commands/{id}")).send().await.unwrap();
        let shown: Value = shown.json().await.unwrap();
        let schema = &shown["input"];
        assert!(schema.is_object(), "{id} says what it takes: {shown}");
        let all = filled(schema, schema, 0);
        let required: BTreeSet<_> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut inputs = one_by_one(&all, &required);
        let mut stranger = all.as_object().cloned().unwrap_or_default();
        stranger.insert("stranger".to_owned(), CANARY.into());
        inputs.extend([
            all,
            stranger.into(),
            json!([CANARY]),
            json!(CANARY),
            json!({ "stranger": [CANARY] }),
        ]);
        for input in inputs {
            let request = operator(Method::POST, &format!("/api/commands/{id}"));
            let request =
                request.timeout(Duration::from_secs(40)).header("idempotency-key", CANARY).json(&input);
            let status = tell(format!("{id} {input}"), request).await;
            if status.is_success() { accepted += 1 } else { refused += 1 }
        }
        let half = operator(Method::POST, &format!("/api/commands/{id}"));
        let half =
            half.header("content-type", "application/json").body(format!("{{\"stranger\": \"{CANARY}"));
        tell(format!("{id}, half a body"), half).await;
    }
    assert!(accepted >= 5 && refused >= commands.len(), "{accepted} {refused}");

    let document = operator(Method::GET, "/openapi.json").send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let place: Vec<_> =
                path.split('/').map(|part| if part.starts_with('{') { CANARY } else { part }).collect();
            let path = place.join("/");
            let request = operator(method.clone(), &path);
            tell(format!("{method} {path}"), request.json(&json!({ "stranger": CANARY }))).await;
        }
    }
    // All that the program reads and others that are sent to it, but for the correlation id: it is there to be recorded.
    for header in [
        "accept",
        "accept-language",
        "authorization",
        "content-encoding",
        "content-type",
        "cookie",
        "expect-ct",
        "forwarded",
        "from",
        "host",
        "idempotency-key",
        "if-match",
        "origin",
        "proxy-authorization",
        "referer",
        "sec-fetch-site",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-api-key",
        "x-csrf-token",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-request-id",
        "x-tenant-id",
    ] {
        for value in [CANARY.to_owned(), format!("Bearer {CANARY}"), format!("Basic {CANARY} {CANARY}")] {
            for path in
                ["/api/commands/tenancy.tenants.list", "/api/commands", "/metrics", "/healthz", "/nowhere"]
            {
                let method = if path.ends_with("list") { Method::POST } else { Method::GET };
                let url = format!("{url}{path}");
                let request = client.request(method, url).header(header, &value);
                tell(format!("header {header} at {path}"), request.body("{}")).await;
            }
        }
    }
    let metrics = operator(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(quickstart.stop());

    let repeating: Vec<_> = told.iter().filter(|(_, body)| body.contains(CANARY)).collect();
    let told: Vec<_> = repeating.iter().take(20).map(|(what, body)| format!("{what}: {body}")).collect();
    assert!(told.is_empty(), "{} answers repeat it:\n{}", repeating.len(), told.join("\n"));
    let export = quickstart.path("export.jsonl");
    let config = quickstart.path("chancery.toml");
    let mut written = Vec::new();
    for line in [
        vec!["audit", "export", "--config", config.to_str().unwrap(), "--out", export.to_str().unwrap()],
        vec!["audit", "verify", "--config", config.to_str().unwrap()],
        vec!["config", "check", "--json"],
        vec!["doctor", "--json"],
    ] {
        let output = quickstart.chancery(line);
        written.push(text(&output.stdout) + &text(&output.stderr));
    }
    let export = fs::read_to_string(export).unwrap();
    let archive = fs::read_to_string(quickstart.path("archive.jsonl")).unwrap();
    let sent = String::from_utf8_lossy(&collector.had.lock().unwrap()).into_owned();
    let logged = quickstart.logged();
    for (what, holds) in
        [(&export, "tenancy.tenants.list"), (&archive, "eventId"), (&sent, "command "), (&logged, "TRACE")]
    {
        assert!(what.contains(holds), "there is something to look through: `{holds}`");
    }
    let mut places = vec![("the log", logged), ("what was sent", sent), ("the metrics", metrics)];
    places.extend([("the export", export), ("the archive", archive), ("a command line", written.concat())]);
    let store = Store::open(quickstart.database(), Options::default()).await.unwrap();
    let columns =
        ["name", "actor", "command", "module", "error_code", "correlation_id", "trace_id", "metadata"];
    for column in columns {
        let sql = format!("SELECT coalesce({column}, '') FROM audit_event");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(store.reader()).await.unwrap();
        assert!(rows.len() > commands.len());
        places.push(("an audit row", rows.join("\n")));
    }
    store.close().await;
    for (place, text) in &places {
        let secrets = [CANARY, &KEY["whsec_".len()..]];
        if let Some(at) = secrets.iter().find_map(|secret| text.find(secret)) {
            let (from, to) =
                (text.floor_char_boundary(at.saturating_sub(300)), text.floor_char_boundary(at + 300));
            panic!("it is in {place}: …{}…", &text[from..to]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_sent_everywhere_is_found_nowhere_on_sqlite() {
    a_secret_that_is_sent_everywhere_is_found_nowhere(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_sent_everywhere_is_found_nowhere_on_postgresql() {
    a_secret_that_is_sent_everywhere_is_found_nowhere(Database::postgres().await).await;
}
