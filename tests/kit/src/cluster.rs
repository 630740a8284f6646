use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A private PostgreSQL cluster: a fresh directory, a unix socket, no TCP port.
///
/// It is stopped and removed when the value is dropped, and just the same when the owning process ends in any
/// other way: see `cluster.sh`.
pub struct Cluster {
    keeper: Child,
    answers: BufReader<ChildStdout>,
    url: String,
}

/// Nothing of it outlives the run, so nothing waits for the disk.
const QUICK: &str = "-c max_connections=300 -c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// What a server does that nobody configured, but for the number of callers.
const DURABLE: &str = "-c max_connections=1200";

impl Cluster {
    /// Starts a cluster that loses what it knows when it is stopped, from the installed server binaries: `initdb` on the `PATH`, else the highest version under
    /// `/usr/lib/postgresql`. A root process runs it as the user `postgres`.
    ///
    /// # Panics
    ///
    /// When there are no binaries, naming the package to install, and when the server does not start.
    pub fn start() -> Self {
        Self::with(QUICK)
    }

    /// Starts a cluster whose commits are durable, as in production.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn durable() -> Self {
        Self::with(DURABLE)
    }

    fn with(settings: &str) -> Self {
        let script = include_str!("cluster.sh");
        let mut keeper = Command::new("sh")
            .args(["-c", script, script, settings])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start sh");
        let mut url = String::new();
        let stdout = keeper.stdout.take().expect("stdout is piped");
        let mut answers = BufReader::new(stdout);
        answers.read_line(&mut url).expect("read the address of the cluster");
        if url.is_empty() {
            let output = keeper.wait_with_output().expect("wait for sh");
            panic!("no PostgreSQL cluster: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Self { keeper, answers, url: url.trim_end().to_owned() }
    }

    /// Stops the server as a crash would, until it is [resumed](Self::resume).
    ///
    /// # Panics
    ///
    /// When it does not stop.
    pub fn crash(&mut self) {
        self.order("stop");
    }

    /// Starts the server again.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn resume(&mut self) {
        self.order("start");
    }

    /// Starts a second server that follows this one, and has whatever is committed before anyone is told. Answers the
    /// folder of its socket.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn standby(&mut self) -> PathBuf {
        self.order("standby");
        self.socket().join("standby")
    }

    /// Makes the second server the one that is written to. The first should be [gone](Self::crash).
    ///
    /// # Panics
    ///
    /// When it does not take over.
    pub fn promote(&mut self) {
        self.order("promote");
    }

    /// The folder of the server's socket.
    ///
    /// # Panics
    ///
    /// Never: the address names it.
    pub fn socket(&self) -> PathBuf {
        self.url.split_once("host=").expect("the address names the socket").1.into()
    }

    fn order(&mut self, order: &str) {
        let stdin = self.keeper.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{order}").expect("give the order");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("read the answer");
        assert_eq!(answer.trim_end(), order, "the server did not {order}");
    }

    /// `postgres://` address of the maintenance database, as the superuser.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}
