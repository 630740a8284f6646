//! Servers of one deployment, what stands before them and behind them, and who calls them.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use chancery_acceptance::{Quickstart, Replica, Vendor, generous, under};
use kit::Database;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use store::{Options, Store, sqlx};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

/// Three servers of one deployment behind a balancer.
pub(crate) struct Fleet {
    pub(crate) deployment: Quickstart,
    pub(crate) nodes: Vec<Replica>,
    pub(crate) balancer: Balancer,
    vendor: Vendor,
    request: PathBuf,
}

impl Fleet {
    /// Under a license of so many exports in a day, with the database's connections bounded as for any other deployment.
    pub(crate) async fn of(database: Database, exports: u64) -> Self {
        Self::before("chancery".into(), database, exports).await
    }

    /// The same, of another program than this build's.
    pub(crate) async fn before(program: PathBuf, database: Database, exports: u64) -> Self {
        let vendor = Vendor::open();
        let mut deployment = Quickstart::of(program, database);
        let request = under(&vendor, &mut deployment);
        let mut fleet =
            Self { deployment, nodes: Vec::new(), balancer: Balancer::start().await, vendor, request };
        fs::copy(fleet.license("L-0", exports), fleet.deployment.path("current.jwe")).unwrap();
        fleet.start();
        fleet
    }

    /// A license of so many exports in a day, and enough of everything else.
    pub(crate) fn license(&self, id: &str, exports: u64) -> PathBuf {
        self.vendor.mint(&self.request, id, &generous(id, exports))
    }

    /// Starts those that do not run: all at the same time.
    pub(crate) fn start(&mut self) {
        let missing = 3 - self.nodes.len();
        let deployment = &self.deployment;
        let started: Vec<Replica> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..missing).map(|_| scope.spawn(|| deployment.replica())).collect();
            starting.into_iter().map(|node| node.join().expect("the node starts")).collect()
        });
        self.nodes.extend(started);
        self.balance();
    }

    /// As `kill -9` does, and starts another in its place.
    pub(crate) fn replace(&mut self, node: usize) {
        drop(self.nodes.remove(node));
        self.start();
    }

    /// Tells the balancer which there are.
    pub(crate) fn balance(&self) {
        *self.balancer.backends.lock().unwrap() = self.nodes.iter().map(Replica::address).collect();
    }

    /// A request as the operator, to whichever node the balancer chooses.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.caller().request(method, path)
    }

    pub(crate) fn caller(&self) -> Caller {
        let token = self.deployment.credentials()["token"].as_str().unwrap().to_owned();
        // A connection for each request, so that each is balanced.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_secs(20));
        Caller { client: client.build().unwrap(), url: format!("http://{}", self.balancer.address), token }
    }

    /// Nothing in any of them has panicked.
    pub(crate) fn unharmed(&self) {
        for node in &self.nodes {
            let log = node.logged();
            assert!(!log.contains("panicked"), "{log}");
        }
    }

    /// What the database says at rest.
    pub(crate) async fn found(&self) -> Found {
        let store = Store::open(self.deployment.database(), Options::default()).await.unwrap();
        let tenants: Vec<String> = sqlx::query_scalar("SELECT slug FROM tenancy_tenant WHERE system = 0")
            .fetch_all(store.reader())
            .await
            .unwrap();
        // The platform's bucket, which every charge is in, whosever it is.
        let charged: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(MAX(used), 0) AS BIGINT) FROM quota_bucket WHERE quota = 'tenancy.exports.max'",
        )
        .fetch_one(store.reader())
        .await
        .unwrap();
        store.close().await;
        Found { tenants, charged: charged.try_into().unwrap() }
    }
}

/// What the database says.
pub(crate) struct Found {
    pub(crate) tenants: Vec<String>,
    pub(crate) charged: u64,
}

/// Whoever calls.
#[derive(Clone)]
pub(crate) struct Caller {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Caller {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// The status of a call; `None` when the connection broke, and nobody knows.
    pub(crate) async fn call(&self, path: &str, input: Value) -> Option<StatusCode> {
        let sent = self.request(Method::POST, path).json(&input).send().await.ok()?;
        let status = sent.status();
        sent.bytes().await.ok()?;
        Some(status)
    }
}

/// A plain balancer: each connection goes to the next of the nodes that takes it.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    pub(crate) backends: Arc<Mutex<Vec<SocketAddr>>>,
    balancing: JoinHandle<()>,
}

impl Balancer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Arc::new(Mutex::new(Vec::<SocketAddr>::new()));
        let (choices, next) = (Arc::clone(&backends), AtomicUsize::new(0));
        let balancing = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let choices = choices.lock().unwrap().clone();
                let first = next.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    for n in 0..choices.len() {
                        let chosen = choices[(first + n) % choices.len()];
                        if let Ok(mut node) = TcpStream::connect(chosen).await {
                            let _ = copy_bidirectional(&mut client, &mut node).await;
                            return;
                        }
                    }
                });
            }
        });
        Self { address, backends, balancing }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.balancing.abort();
    }
}

/// What stands before a database, and leads to the one of two that is written to.
pub(crate) struct Switch {
    folder: TempDir,
    leads_to: watch::Sender<PathBuf>,
    switching: JoinHandle<()>,
}

impl Switch {
    /// Leads to the server with its socket in this folder.
    pub(crate) fn to(folder: PathBuf) -> Self {
        let own = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(own.path().join(".s.PGSQL.5432")).unwrap();
        let (leads_to, leading) = watch::channel(folder);
        let switching = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut leading = leading.clone();
                tokio::spawn(async move {
                    let to = leading.borrow_and_update().join(".s.PGSQL.5432");
                    if let Ok(mut server) = UnixStream::connect(to).await {
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => {}
                            _ = leading.changed() => {}
                        }
                    }
                });
            }
        });
        Self { folder: own, leads_to, switching }
    }

    /// Leads elsewhere from now on, and ends what leads to where it led.
    pub(crate) fn turn(&self, folder: PathBuf) {
        self.leads_to.send_replace(folder);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.switching.abort();
    }
}

/// Callers that register tenants and export the register, and go on whatever happens to them.
pub(crate) struct Load {
    pub(crate) told: Arc<Told>,
    callers: Vec<JoinHandle<()>>,
    over: watch::Sender<bool>,
}

/// What callers were told.
#[derive(Default)]
pub(crate) struct Told {
    /// Tenants they were told are registered.
    pub(crate) tenants: Mutex<Vec<String>>,
    /// Exports they were given.
    pub(crate) exports: AtomicU64,
    /// Exports that may have been charged without their having been told.
    pub(crate) in_doubt: AtomicU64,
    /// Calls whose connection broke.
    pub(crate) broken: AtomicU64,
    /// Any other answer.
    pub(crate) others: Mutex<BTreeMap<u16, u64>>,
}

impl Load {
    pub(crate) fn start(fleet: &Fleet, callers: usize) -> Self {
        // No two have tenants of the same name.
        static LOADS: AtomicUsize = AtomicUsize::new(0);
        let load = LOADS.fetch_add(1, SeqCst);
        let told = Arc::new(Told::default());
        let (over, watching) = watch::channel(false);
        let callers = (0..callers).map(|caller| {
            let (told, watching, calling) = (Arc::clone(&told), watching.clone(), fleet.caller());
            tokio::spawn(async move {
                for n in 0.. {
                    if *watching.borrow() {
                        return;
                    }
                    told.call(&calling, format!("t-{load}-{caller}-{n}")).await;
                }
            })
        });
        Self { callers: callers.collect(), told, over }
    }

    /// Until so many more exports were given; how long that took.
    pub(crate) async fn served(&self, exports: u64) -> Duration {
        let (began, before) = (Instant::now(), self.told.exports.load(SeqCst));
        while self.told.exports.load(SeqCst) < before + exports {
            let told = self.told.others.lock().unwrap().clone();
            assert!(began.elapsed() < Duration::from_secs(30), "service does not resume: {told:?}");
            sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    pub(crate) async fn end(self) -> Arc<Told> {
        self.over.send(true).unwrap();
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.told
    }
}

impl Told {
    async fn call(&self, calling: &Caller, slug: String) {
        let registered = calling.call("/api/commands/tenancy.tenants.create", json!({ "slug": slug })).await;
        match registered {
            Some(status) if status.is_success() => self.tenants.lock().unwrap().push(slug),
            other => self.not_served(other).await,
        }
        let exported = calling.call("/api/commands/tenancy.tenants.export", json!({})).await;
        match exported {
            Some(status) if status.is_success() => {
                self.exports.fetch_add(1, SeqCst);
            }
            other => {
                if other.is_none_or(|status| status.is_server_error()) {
                    self.in_doubt.fetch_add(1, SeqCst);
                }
                self.not_served(other).await;
            }
        }
    }

    async fn not_served(&self, status: Option<StatusCode>) {
        match status {
            None => {
                self.broken.fetch_add(1, SeqCst);
            }
            Some(status) => *self.others.lock().unwrap().entry(status.as_u16()).or_default() += 1,
        }
        sleep(Duration::from_millis(20)).await;
    }

    /// Whoever was told of a tenant finds it, and every export that was given is charged; besides those at most the ones
    /// whose end nobody was told.
    pub(crate) fn holds(&self, found: &Found, limit: u64) {
        let tenants = self.tenants.lock().unwrap();
        let lost: Vec<_> = tenants.iter().filter(|slug| !found.tenants.contains(slug)).collect();
        assert!(lost.is_empty(), "registered, and not there: {lost:?}");
        let (exports, in_doubt) = (self.exports.load(SeqCst), self.in_doubt.load(SeqCst));
        let charged = found.charged;
        eprintln!(
            "{} tenants and {exports} exports acknowledged, {charged} charged, {in_doubt} in doubt, {} connections \
             broken, other answers {:?}",
            tenants.len(),
            self.broken.load(SeqCst),
            self.others.lock().unwrap(),
        );
        assert!(charged >= exports, "{exports} exports were given, {charged} are charged");
        assert!(
            charged <= exports + in_doubt,
            "{exports} were given, {in_doubt} in doubt, {charged} charged"
        );
        assert!(charged <= limit, "{charged} of {limit}");
    }
}
