//! Kills processes that charge quotas, at random instants, and looks at what they leave behind.
//!
//!     cargo run --release -p chancery-acceptance --bin quota-crash -- 200 sqlite postgres
//!
//! In every run two processes charge the same bucket from many callers; every seventh call fails. Each process is killed
//! with `kill -9` at an instant of its own, once its first call has come to an end. Afterwards (semantics 5.4): no bucket is
//! over its limit; every success that a caller was told is charged, and at most the calls in flight besides; what was
//! reserved is free once its time is over, and then exactly what is not used can be had.

use std::{
    io::{BufReader, Read, Write as _},
    num::NonZeroU64,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use chancery_acceptance::alone;
use jiff::{SignedDuration, Timestamp};
use kit::Database;
use quota::{Charge, Limit, MIGRATIONS, MeteredStore, Projection, QuotaError, SqlQuota, TenantShare, Window};
use store::{Options, Store};
use uuid::Uuid;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_mins(1);
const CALLERS: u64 = 16;
const PROCESSES: u64 = 2;
/// The first ends the bucket soon, the last never.
const LIMITS: [u64; 3] = [60, 3_000, 1_000_000_000];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["load", url, quota, limit, node] => kit::run(load(url, quota, parse(limit), parse(node))),
        [runs, ref engines @ ..] if !engines.is_empty() && runs.parse::<u64>().is_ok() => {
            for engine in engines {
                match *engine {
                    "sqlite" => crash("SQLite", Database::sqlite().url(), parse(runs)),
                    "postgres" => {
                        let database = kit::run(Database::postgres());
                        crash("PostgreSQL", database.url(), parse(runs));
                    }
                    _ => return usage(),
                }
            }
        }
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: quota-crash RUNS sqlite|postgres…");
    ExitCode::from(2)
}

fn parse(number: &str) -> u64 {
    number.parse().expect("a number")
}

fn charge(quota: &str, units: u64, limit: u64) -> Charge<'_> {
    Charge {
        quota,
        units: NonZeroU64::new(units).expect("units"),
        window: window(),
        platform_limit: limit,
        tenant: Some(TenantShare { id: "acme", limit }),
    }
}

fn window() -> Window {
    Window { start: NOON, end: NOON + SignedDuration::from_hours(1) }
}

async fn open(url: &str, node: u64) -> SqlQuota {
    let store = Store::open(url, Options::default()).await.expect("the database");
    store.migrate(MIGRATIONS).await.expect("our tables");
    SqlQuota::new(store, Uuid::from_u128(node.into()))
}

/// Charges until it is killed. Writes a byte for what each call came to, once its caller knows: `a`cknowledged,
/// `r`eleased, `d`enied, or an `e`rror.
async fn load(url: &str, quota: &str, limit: u64, node: u64) {
    let store = open(url, node).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (store, quota) = (store.clone(), quota.to_owned());
            tokio::spawn(async move {
                for call in caller.. {
                    tell(call_once(&store, &quota, limit, call % 7 == 0).await);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("callers do not panic");
    }
}

async fn call_once(store: &SqlQuota, quota: &str, limit: u64, fails: bool) -> u8 {
    let settled = match store.reserve(&[charge(quota, 1, limit)], TTL, NOON).await {
        Err(QuotaError::Exhausted(_)) => {
            // Not to flood the pipe.
            tokio::time::sleep(Duration::from_millis(5)).await;
            return b'd';
        }
        Err(error) => Err(error),
        Ok(reserved) if fails => reserved.release().await.map(|()| b'r'),
        Ok(reserved) => reserved.commit().await.map(|()| b'a'),
    };
    settled.unwrap_or_else(|error| {
        eprintln!("{error}: {:?}", std::error::Error::source(&error));
        b'e'
    })
}

fn tell(byte: u8) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&[byte]).and_then(|()| stdout.flush()).expect("somebody reads");
}

/// A process under load.
struct Victim {
    child: Child,
    at_work: Receiver<()>,
    acknowledged: JoinHandle<u64>,
}

impl Victim {
    fn start(url: &str, quota: &str, limit: u64, node: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["load", url, quota, &limit.to_string(), &node.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a process");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (first, at_work) = channel();
        let acknowledged = thread::spawn(move || {
            let told = stdout
                .bytes()
                .map(|byte| byte.expect("a byte"))
                .inspect(|_| first.send(()).expect("it is waited for"));
            told.filter(|byte| *byte == b'a').count() as u64
        });
        Self { child, at_work, acknowledged }
    }

    /// With SIGKILL, so long after its first call has ended. Answers how many successes it had told.
    fn kill(mut self, after: Duration) -> u64 {
        self.at_work.recv().expect("a call ends");
        thread::sleep(after);
        self.child.kill().expect("kill -9");
        self.child.wait().expect("reap");
        self.acknowledged.join().expect("the reader ends with the pipe")
    }
}

fn crash(engine: &str, url: &str, runs: u64) {
    let (mut acknowledged, mut in_flight, mut held) = (0, 0, 0);
    for run in 0..runs {
        let quota = format!("run-{run}");
        let limit = LIMITS[usize::try_from(run % 3).expect("small")];
        let victims: Vec<_> =
            (0..PROCESSES).map(|n| Victim::start(url, &quota, limit, run * PROCESSES + n)).collect();
        let told = victims
            .into_iter()
            .enumerate()
            .map(|(n, victim)| victim.kill(Duration::from_millis(random(run * PROCESSES + n as u64) % 250)));
        let told: u64 = told.sum();
        let found = kit::run(look(url, &quota, limit, told));
        acknowledged += told;
        in_flight += found.used - told;
        held += found.reserved;
    }
    println!(
        "{engine}: {runs} runs, each with {PROCESSES} processes of {CALLERS} callers killed: {acknowledged} successes \
         acknowledged and charged, {in_flight} more charged that were in flight, {held} units found reserved, all free \
         after their time; no bucket over its limit, none under it at rest"
    );
}

async fn look(url: &str, quota: &str, limit: u64, told: u64) -> Projection {
    alone(url).await;
    let store = open(url, u64::MAX).await;
    let found = project(&store, quota, limit, NOON).await;
    let Projection { used, reserved, .. } = found;
    assert!(used + reserved <= limit, "{quota}: {used} used and {reserved} reserved of {limit}");
    assert!(used >= told, "{quota}: {told} successes acknowledged, {used} charged");
    let most = told + PROCESSES * CALLERS;
    assert!(used <= most, "{quota}: {used} charged, {most} acknowledged or in flight");
    let later = NOON + TTL + SignedDuration::from_secs(1);
    assert_eq!(project(&store, quota, limit, later).await.reserved, 0, "{quota}: a reservation stays");
    if used < limit {
        let rest = store.reserve(&[charge(quota, limit - used, limit)], TTL, later).await;
        rest.expect("what is not used can be had").commit().await.expect("it is held");
    }
    let more = store.reserve(&[charge(quota, 1, limit)], TTL, later).await;
    assert!(matches!(more, Err(QuotaError::Exhausted(_))), "{quota}: more than the limit");
    found
}

async fn project(store: &SqlQuota, quota: &str, limit: u64, now: Timestamp) -> Projection {
    let limits = [Limit { quota, limit, window: window() }];
    let platform = store.projection(None, &limits, now).await.expect("the platform's use").remove(0);
    let tenant = store.projection(Some("acme"), &limits, now).await.expect("the tenant's use").remove(0);
    assert_eq!((platform.used, platform.reserved), (tenant.used, tenant.reserved), "both buckets or neither");
    platform
}

/// Splitmix64: another number for every seed, the same in every run of the program.
const fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
