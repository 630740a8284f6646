use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A private PostgreSQL cluster: a fresh directory, a unix socket, no TCP port, no durability.
///
/// It is stopped and removed when the value is dropped, and just the same when the owning process ends in any
/// other way: see `cluster.sh`.
pub struct Cluster {
    keeper: Child,
    url: String,
}

impl Cluster {
    /// Starts a cluster from the installed server binaries: `initdb` on the `PATH`, else the highest version under
    /// `/usr/lib/postgresql`. A root process runs it as the user `postgres`.
    ///
    /// # Panics
    ///
    /// When there are no binaries, naming the package to install, and when the server does not start.
    pub fn start() -> Self {
        let script = include_str!("cluster.sh");
        let mut keeper = Command::new("sh")
            .args(["-c", script, script])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start sh");
        let mut url = String::new();
        let stdout = keeper.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut url).expect("read the address of the cluster");
        if url.is_empty() {
            let output = keeper.wait_with_output().expect("wait for sh");
            panic!("no PostgreSQL cluster: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Self { keeper, url: url.trim_end().to_owned() }
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
