//! Mixed load over the real program for a long time: does anything grow?
//!
//! ```text
//! cargo run --release -p chancery-acceptance --bin soak -- --minutes 30 --out docs/benchmarks/soak
//! ```
//!
//! Writes `OUT.csv`, a row for each interval, `OUT.svg`, the same as curves, and `OUT.md`, each goal with what was measured.
//! Ends with 1 when one was missed.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use chancery_acceptance::{Quickstart, Vendor, answer, generous, under};
use kit::Database;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// What is asked for on the command line.
struct Asked {
    minutes: u64,
    seconds_each: u64,
    callers: u64,
    pause: Duration,
    engine: String,
    out: PathBuf,
}

impl Asked {
    fn read() -> Option<Self> {
        let mut asked = Self {
            minutes: 30,
            seconds_each: 60,
            callers: 8,
            pause: Duration::from_millis(10),
            engine: "postgres".to_owned(),
            out: "soak".into(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word.as_str() {
                "--minutes" => asked.minutes = value.parse().ok()?,
                "--every-seconds" => asked.seconds_each = value.parse().ok()?,
                "--callers" => asked.callers = value.parse().ok()?,
                "--pause-ms" => asked.pause = Duration::from_millis(value.parse().ok()?),
                "--engine" if ["postgres", "sqlite"].contains(&value.as_str()) => asked.engine = value,
                "--out" => asked.out = value.into(),
                _ => return None,
            }
        }
        Some(asked)
    }
}

fn main() -> ExitCode {
    let Some(asked) = Asked::read() else {
        eprintln!(
            "usage: soak [--minutes N] [--every-seconds N] [--callers N] [--pause-ms N] [--engine postgres|sqlite] [--out PATH]"
        );
        return ExitCode::from(2);
    };
    let rows = kit::run(soak(&asked));
    fs::write(asked.out.with_extension("csv"), csv(&rows)).expect("write the rows");
    fs::write(asked.out.with_extension("svg"), svg(&rows)).expect("write the plot");
    let goals = judge(&rows);
    let report = asked.report(&rows, &goals);
    eprint!("{report}");
    fs::write(asked.out.with_extension("md"), report).expect("write the report");
    ExitCode::from(u8::from(goals.iter().any(|goal| !goal.is_met())))
}

/// What was seen in one interval.
struct Row {
    second: u64,
    calls: u64,
    /// Answers that the call is not there to get.
    unexpected: u64,
    p50: f64,
    p99: f64,
    resident_mb: f64,
    files: u64,
    /// From a call to its event in the audit log, in milliseconds.
    audit_lag: f64,
    /// Events that wait to be written, where the program tells.
    audit_backlog: Option<u64>,
}

async fn soak(asked: &Asked) -> Vec<Row> {
    let database = match asked.engine.as_str() {
        "sqlite" => Database::sqlite(),
        _ => Database::postgres().await,
    };
    let vendor = Vendor::open();
    let mut server = Quickstart::over(database);
    let request = under(&vendor, &mut server);
    let license = vendor.mint(&request, "SOAK", &generous("SOAK", 1_000_000));
    fs::copy(license, server.path("current.jwe")).expect("the license");
    server.start();

    let taken = Arc::new(Mutex::new(Taken::default()));
    let (over, watching) = watch::channel(false);
    let credentials = server.credentials();
    let calling = Calling {
        client: Client::builder().timeout(Duration::from_secs(30)).build().expect("a client"),
        url: credentials["url"].as_str().expect("an address").to_owned(),
        token: credentials["token"].as_str().expect("a token").to_owned(),
    };
    let callers: Vec<_> = (0..asked.callers)
        .map(|caller| {
            let (taken, watching, calling) = (Arc::clone(&taken), watching.clone(), calling.clone());
            let pause = asked.pause;
            tokio::spawn(async move {
                for n in 0.. {
                    if *watching.borrow() {
                        return;
                    }
                    let began = Instant::now();
                    let expected = calling.one(caller, n).await;
                    taken.lock().expect("nobody panics here").add(began.elapsed(), expected);
                    sleep(pause).await;
                }
            })
        })
        .collect();

    let (began, mut rows) = (Instant::now(), Vec::new());
    for interval in 1..=(asked.minutes * 60).div_ceil(asked.seconds_each) {
        tokio::time::sleep_until(began + Duration::from_secs(interval * asked.seconds_each)).await;
        let mut now = std::mem::take(&mut *taken.lock().expect("nobody panics here"));
        let audit_lag = calling.audit_lag(interval).await;
        let row = Row {
            second: began.elapsed().as_secs(),
            calls: now.millis.len() as u64,
            unexpected: now.unexpected,
            p50: now.quantile(50),
            p99: now.quantile(99),
            resident_mb: resident_mb(server.process_id()),
            files: files(server.process_id()),
            audit_lag,
            audit_backlog: calling.audit_backlog().await,
        };
        eprint!("{}", row.line());
        rows.push(row);
    }
    over.send(true).expect("callers watch");
    for caller in callers {
        caller.await.expect("callers do not panic");
    }
    assert!(server.stop(), "it ends well");
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
    rows
}

/// What calls took, and how many were not answered as they should be.
#[derive(Default)]
struct Taken {
    millis: Vec<f64>,
    unexpected: u64,
}

impl Taken {
    fn add(&mut self, took: Duration, expected: bool) {
        self.millis.push(took.as_secs_f64() * 1e3);
        self.unexpected += u64::from(!expected);
    }

    fn quantile(&mut self, percent: usize) -> f64 {
        self.millis.sort_by(f64::total_cmp);
        let last = self.millis.len().saturating_sub(1);
        self.millis.get(last * percent / 100).copied().unwrap_or_default()
    }
}

#[derive(Clone)]
struct Calling {
    client: Client,
    url: String,
    token: String,
}

impl Calling {
    fn call(&self, id: &str, input: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(format!("{}/api/commands/{id}", self.url));
        request.bearer_auth(&self.token).json(input)
    }

    /// One call of the mixture; whether it was answered as it should be.
    async fn one(&self, caller: u64, n: u64) -> bool {
        let slug = format!("s-{caller}-{n}");
        let (request, expected) = match n % 20 {
            // Deleted again, or what is exported grows with the time, and calls take longer and more memory for it.
            0 if n.is_multiple_of(400) => return self.comes_and_goes(&slug).await,
            0..=3 => (self.call("tenancy.tenants.list", &json!({ "slug": "demo" })), StatusCode::OK),
            4..=7 => (self.call("tenancy.tenants.list", &json!({ "limit": 20 })), StatusCode::OK),
            8..=10 => {
                let keyed = self.call("identity.operators.whoami", &json!({}));
                (keyed.header("idempotency-key", &slug), StatusCode::OK)
            }
            // Charged, durably.
            11 => (self.call("tenancy.tenants.export", &json!({})), StatusCode::OK),
            // A slug that is none, one that is taken, nobody, what does not exist, and no JSON.
            12 => (self.call("tenancy.tenants.create", &json!({ "slug": "NONE" })), StatusCode::BAD_REQUEST),
            13 => (self.call("tenancy.tenants.create", &json!({ "slug": "demo" })), StatusCode::CONFLICT),
            14 => (
                self.client.post(format!("{}/api/commands/tenancy.tenants.list", self.url)),
                StatusCode::UNAUTHORIZED,
            ),
            15 => (self.call("tenancy.tenants.nothing", &json!({})), StatusCode::NOT_FOUND),
            16 => {
                let request = self.call("tenancy.tenants.list", &json!({}));
                (request.body("{".repeat(5_000)), StatusCode::BAD_REQUEST)
            }
            17 => (self.call("platform.audit.query", &json!({ "limit": 10 })), StatusCode::OK),
            18 => (self.call("platform.license.status", &json!({})), StatusCode::OK),
            _ => (self.client.get(format!("{}/healthz", self.url)), StatusCode::OK),
        };
        let Ok(response) = request.send().await else { return false };
        let status = response.status();
        response.bytes().await.is_ok() && status == expected
    }

    /// A tenant that is registered, and deleted again.
    async fn comes_and_goes(&self, slug: &str) -> bool {
        let (_, made) = answer(self.call("tenancy.tenants.create", &json!({ "slug": slug }))).await;
        let gone = self.call("tenancy.tenants.delete", &json!({ "tenantId": made["tenantId"] }));
        answer(gone).await.0 == StatusCode::OK
    }

    /// How long after a call its event can be read.
    async fn audit_lag(&self, interval: u64) -> f64 {
        let correlation = format!("soak-{interval}");
        let marked = self.call("tenancy.tenants.list", &json!({ "slug": "demo" }));
        let began = Instant::now();
        let (_, _) = answer(marked.header("x-correlation-id", &correlation)).await;
        while began.elapsed() < Duration::from_secs(30) {
            let query = json!({ "commandId": "tenancy.tenants.list", "limit": 200 });
            let (_, page) = answer(self.call("platform.audit.query", &query)).await;
            let events = page["events"].as_array().into_iter().flatten();
            if events.into_iter().any(|event| event["correlationId"] == correlation.as_str()) {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed().as_secs_f64() * 1e3
    }

    async fn audit_backlog(&self) -> Option<u64> {
        let request = self.client.request(Method::GET, format!("{}/metrics", self.url));
        let text = request.send().await.ok()?.text().await.ok()?;
        let series = text.lines().filter(|line| line.starts_with("chancery_audit_backlog"));
        let values: Vec<u64> = series.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        (!values.is_empty()).then(|| values.into_iter().sum())
    }
}

fn resident_mb(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn files(process: u32) -> u64 {
    fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count() as u64
}

impl Row {
    fn line(&self) -> String {
        let Self { second, calls, unexpected, p50, p99, resident_mb, files, audit_lag, audit_backlog } = self;
        let backlog = audit_backlog.map_or_else(String::new, |backlog| backlog.to_string());
        format!(
            "{second},{calls},{unexpected},{p50:.2},{p99:.2},{resident_mb:.1},{files},{audit_lag:.0},{backlog}\n"
        )
    }
}

fn csv(rows: &[Row]) -> String {
    let head = "second,calls,unexpected,p50_ms,p99_ms,resident_mb,files,audit_lag_ms,audit_backlog\n";
    head.to_owned() + &rows.iter().map(Row::line).collect::<String>()
}

/// What was measured, and what it may be at most.
struct Goal {
    what: &'static str,
    measured: f64,
    most: f64,
}

impl Goal {
    fn is_met(&self) -> bool {
        self.measured <= self.most
    }
}

/// The first third is for pools and caches to fill; memory is judged by what came after it.
fn judge(rows: &[Row]) -> [Goal; 6] {
    let third = rows.len() / 3;
    let (first, later, last) = (&rows[..third], &rows[third..], &rows[rows.len() - third..]);
    let lowest = |rows: &[Row], of: fn(&Row) -> f64| rows.iter().map(of).fold(f64::INFINITY, f64::min);
    let goal = |what, measured, most| Goal { what, measured, most };
    let p99: fn(&Row) -> f64 = |row| row.p99;
    let lag: fn(&Row) -> f64 = |row| row.audit_lag;
    let files: fn(&Row) -> f64 = |row| row.files as f64;
    // Written in batches, so that some events always wait; what piles up is there in every interval.
    let backlog: fn(&Row) -> f64 = |row| row.audit_backlog.map_or(f64::INFINITY, |events| events as f64);
    [
        goal("resident memory after the first third: MB risen, by a straight line", risen(later), 2.0),
        goal(
            "open files: last third to first, median, more",
            median(last, files) - median(first, files),
            3.0,
        ),
        goal(
            "99th percentile: last third to first, median, times",
            median(last, p99) / median(first, p99),
            1.25,
        ),
        goal("audit lag: last third to first, median, ms more", median(last, lag) - median(first, lag), 50.0),
        goal("audit backlog: least of the last third, events", lowest(last, backlog), 100.0),
        goal(
            "calls that were not answered as they should be",
            rows.iter().map(|row| row.unexpected as f64).sum(),
            0.0,
        ),
    ]
}

fn median(rows: &[Row], of: fn(&Row) -> f64) -> f64 {
    let mut values: Vec<f64> = rows.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// By how many MB memory rose from the first of these to the last, by the line of least squares.
fn risen(rows: &[Row]) -> f64 {
    let mean = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    let (middle, level) = (mean(&|row| row.second as f64), mean(&|row| row.resident_mb));
    let both = mean(&|row| (row.second as f64 - middle) * (row.resident_mb - level));
    let spread = mean(&|row| (row.second as f64 - middle).powi(2));
    let span = rows.last().zip(rows.first()).map_or(0, |(last, first)| last.second - first.second);
    both / spread * span as f64
}

impl Asked {
    fn report(&self, rows: &[Row], goals: &[Goal]) -> String {
        let calls: u64 = rows.iter().map(|row| row.calls).sum();
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let mut text = format!(
            "# Soak\n\n{} minutes on {}, {} callers with pauses of {} ms, {calls} calls, {cores} cores.\n\n\
             | goal | measured | at most | |\n|---|---:|---:|---|\n",
            self.minutes,
            self.engine,
            self.callers,
            self.pause.as_millis(),
        );
        for goal in goals {
            let met = if goal.is_met() { "met" } else { "missed" };
            let _ = writeln!(text, "| {} | {:.2} | {} | {met} |", goal.what, goal.measured, goal.most);
        }
        let name = self.out.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(text, "\n[The rows]({name}.csv)\n\n![what was seen]({name}.svg)");
        text
    }
}

/// The curves, one panel beneath the other.
fn svg(rows: &[Row]) -> String {
    type Curve = (&'static str, &'static str, fn(&Row) -> f64);
    const PANELS: [&[Curve]; 5] = [
        &[("calls per interval", "#4477aa", |row| row.calls as f64)],
        &[("p50 ms", "#4477aa", |row| row.p50), ("p99 ms", "#cc6677", |row| row.p99)],
        &[("resident MB", "#4477aa", |row| row.resident_mb)],
        &[("open files", "#4477aa", |row| row.files as f64)],
        &[("audit lag ms", "#4477aa", |row| row.audit_lag)],
    ];
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 110.0;
    const LEFT: f64 = 90.0;
    let last = rows.last().map_or(1.0, |row| row.second as f64).max(1.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 30.0,
        HEIGHT * PANELS.len() as f64 + 30.0,
    );
    for (place, curves) in PANELS.iter().enumerate() {
        let top = HEIGHT * place as f64 + 20.0;
        let height = HEIGHT - 30.0;
        let values = curves.iter().flat_map(|(.., of)| rows.iter().map(of));
        let most = values.fold(0.0, f64::max).max(1.0) * 1.1;
        let _ = writeln!(
            text,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\" fill=\"none\" stroke=\"#cccccc\"/>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{most:.0}</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">0</text>",
            LEFT - 6.0,
            top + 10.0,
            LEFT - 6.0,
            top + height,
        );
        for (number, (name, colour, of)) in curves.iter().enumerate() {
            let points: String = rows
                .iter()
                .map(|row| {
                    let x = LEFT + row.second as f64 / last * WIDTH;
                    format!("{x:.1},{:.1} ", top + height - of(row) / most * height)
                })
                .collect();
            let _ = writeln!(
                text,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n\
                 <text x=\"{:.0}\" y=\"{:.0}\" fill=\"{colour}\">{name}</text>",
                points.trim_end(),
                LEFT + 8.0 + 90.0 * number as f64,
                top + 14.0,
            );
        }
    }
    let bottom = HEIGHT * PANELS.len() as f64 + 14.0;
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"{bottom}\">0</text>\n<text x=\"{:.0}\" y=\"{bottom}\" text-anchor=\"end\">{:.0} min</text>\n</svg>",
        LEFT + WIDTH,
        last / 60.0,
    );
    text
}
