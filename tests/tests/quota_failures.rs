//! The database goes away while quotas are charged: calls are denied, nothing is lost, and service resumes by itself.

use std::{
    io::{BufReader, Read as _},
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kit::{Cluster, Database};
use quota::{Charge, Limit, MIGRATIONS, MeteredStore, QuotaError, SqlQuota, TenantShare, Window};
use store::{Options, Store};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};
use uuid::Uuid;

const NOON: Timestamp = Timestamp::constant(1_900_000_000, 0);
const TTL: Duration = Duration::from_mins(1);
const LIMIT: u64 = 1_000_000_000;
const CALLERS: u64 = 16;

/// No two processes have the same.
static NODES: AtomicU64 = AtomicU64::new(0);

fn charge(units: u64) -> Charge<'static> {
    Charge {
        quota: "messages.sent",
        units: NonZeroU64::new(units).unwrap(),
        window: window(),
        platform_limit: LIMIT,
        tenant: Some(TenantShare { id: "acme", limit: LIMIT }),
    }
}

fn window() -> Window {
    Window { start: NOON, end: NOON + SignedDuration::from_hours(1) }
}

async fn open(url: &str) -> SqlQuota {
    let options = Options { patience: Duration::from_secs(1), ..Options::default() };
    let store = Store::open(url, options).await.unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    SqlQuota::new(store, Uuid::from_u128(NODES.fetch_add(1, SeqCst).into()))
}

/// Callers that go on whatever happens to them.
struct Load {
    tally: Arc<Tally>,
    callers: Vec<JoinHandle<()>>,
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    denied: AtomicU64,
    /// Commits that ended in an error: charged or not, nobody was told.
    in_doubt: AtomicU64,
}

impl Load {
    fn start(quota: &SqlQuota) -> Self {
        let tally = Arc::new(Tally::default());
        let (over, watching) = watch::channel(false);
        let callers = (0..CALLERS).map(|_| {
            let (quota, tally, watching) = (quota.clone(), tally.clone(), watching.clone());
            tokio::spawn(async move {
                while !*watching.borrow() {
                    match quota.reserve(&[charge(1)], TTL, NOON).await {
                        Ok(reserved) => match reserved.commit().await {
                            Ok(()) => tally.acknowledged.fetch_add(1, SeqCst),
                            Err(_) => tally.in_doubt.fetch_add(1, SeqCst),
                        },
                        Err(error) => {
                            assert!(matches!(error, QuotaError::Store(_)), "{error}");
                            tokio::time::sleep(Duration::from_millis(5)).await;
                            tally.denied.fetch_add(1, SeqCst)
                        }
                    };
                }
            })
        });
        Self { callers: callers.collect(), tally, over }
    }

    /// Until one more call than before was acknowledged.
    async fn served(&self) {
        self.grows(&self.tally.acknowledged, "service did not resume").await;
    }

    async fn denied(&self) {
        self.grows(&self.tally.denied, "nobody was denied").await;
    }

    async fn grows(&self, count: &AtomicU64, otherwise: &str) {
        let before = count.load(SeqCst);
        for _ in 0..1_500 {
            if count.load(SeqCst) > before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{otherwise}");
    }

    async fn end(self) -> Arc<Tally> {
        self.over.send(true).unwrap();
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.tally
    }
}

/// Every success is charged, and besides at most the calls nobody was told the end of; once what is reserved has expired,
/// exactly the rest can be had.
async fn nothing_is_lost(quota: &SqlQuota, tally: &Tally) {
    let limits = [Limit { quota: "messages.sent", limit: LIMIT, window: window() }];
    let used = quota.projection(None, &limits, NOON).await.unwrap()[0].used;
    let (acknowledged, in_doubt) = (tally.acknowledged.load(SeqCst), tally.in_doubt.load(SeqCst));
    assert!(used >= acknowledged, "{acknowledged} acknowledged, {used} charged");
    assert!(
        used <= acknowledged + in_doubt,
        "{acknowledged} acknowledged, {in_doubt} in doubt, {used} charged"
    );
    let later = NOON + TTL + SignedDuration::from_secs(1);
    quota.reserve(&[charge(LIMIT - used)], TTL, later).await.unwrap().commit().await.unwrap();
    let more = quota.reserve(&[charge(1)], TTL, later).await;
    assert!(matches!(more, Err(QuotaError::Exhausted(_))));
}

#[test]
fn a_postgres_that_crashes_and_comes_back_loses_nothing() {
    let mut cluster = Cluster::durable();
    kit::run(async {
        let quota = open(cluster.url()).await;
        let load = Load::start(&quota);
        for _ in 0..3 {
            load.served().await;
            cluster.crash();
            load.denied().await;
            cluster.resume();
            load.served().await;
        }
        let tally = load.end().await;
        nothing_is_lost(&open(cluster.url()).await, &tally).await;
    });
}

/// Stands between the program and the server's socket, and can cut every connection at once.
struct Proxy {
    folder: tempfile::TempDir,
    cut: watch::Sender<u64>,
}

impl Proxy {
    fn before(server: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut cuts) = (server.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut server) = UnixStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { folder, cut }
    }
}

const SOCKET: &str = ".s.PGSQL.5432";

#[test]
fn connections_cut_in_mid_commit_lose_nothing() {
    kit::run(async {
        let database = Database::postgres().await;
        let (base, folder) = database.url().split_once("host=").unwrap_or((database.url(), ""));
        if folder.is_empty() {
            // A server given by DATABASE_URL may not have a socket here; our own has.
            return;
        }
        let folder = folder.split('&').next().unwrap().replace("%2F", "/");
        let proxy = Proxy::before(Path::new(&folder).join(SOCKET));
        let quota = open(&format!("{base}host={}", proxy.folder.path().display())).await;
        let load = Load::start(&quota);
        for n in 0..20 {
            load.served().await;
            // Into another part of a batch each time.
            tokio::time::sleep(Duration::from_micros(n * 437)).await;
            proxy.cut.send_modify(|cuts| *cuts += 1);
        }
        load.served().await;
        let tally = load.end().await;
        nothing_is_lost(&open(database.url()).await, &tally).await;
    });
}

/// The load of `quota-crash` in a process whose files may not grow: to SQLite that is a full disk.
struct Confined(Child);

impl Confined {
    fn start(url: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_quota-crash");
        let child = Command::new("sh")
            // Without the trap the first refused write would kill it, where a full disk answers with an error.
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", program, "load", url, "messages.sent"])
            .args([&LIMIT.to_string(), "7"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn files_may_grow(&self, limit: &str) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.0.id().to_string(), &format!("--fsize={limit}:unlimited")])
            .status()
            .unwrap();
        assert!(set.success());
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_disk_that_is_full_denies_until_there_is_room_and_loses_nothing() {
    let database = Database::sqlite();
    let mut confined = Confined::start(database.url());
    let mut told = BufReader::new(confined.0.stdout.take().unwrap()).bytes().map(Result::unwrap);
    let mut acknowledged = 0;
    let mut until = |wanted: u8, times: usize| {
        let mut seen = 0;
        while seen < times {
            let byte = told.next().expect("it goes on");
            acknowledged += u64::from(byte == b'a');
            seen += usize::from(byte == wanted);
        }
        acknowledged
    };
    for _ in 0..3 {
        until(b'a', 50);
        confined.files_may_grow("4096");
        until(b'e', 8);
        confined.files_may_grow("unlimited");
    }
    until(b'a', 50);
    confined.0.kill().unwrap();
    confined.0.wait().unwrap();
    let acknowledged = until_the_end(acknowledged, told);
    kit::run(async {
        let quota = open(database.url()).await;
        let limits = [Limit { quota: "messages.sent", limit: LIMIT, window: window() }];
        let used = quota.projection(None, &limits, NOON).await.unwrap()[0].used;
        assert!(used >= acknowledged, "{acknowledged} acknowledged, {used} charged");
    });
}

fn until_the_end(acknowledged: u64, told: impl Iterator<Item = u8>) -> u64 {
    acknowledged + told.filter(|byte| *byte == b'a').count() as u64
}
