//! How long the server takes from its start to its first 200 of `/readyz`, and what it keeps in memory when nobody calls. The
//! program is the released one, which stands beside this bench: `cargo build --release -p chancery-server`.

mod machine;

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use chancery_benches::{Figure, Goal};
use machine::{clock, introduce};

const ROUNDS: usize = 9;
const IDLE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// From the start to ready, in milliseconds.
const START: Goal = Goal::AtMost(150.0);
/// Resident, all modules, in MB of 1,024 times 1,024 bytes.
const MEMORY: Goal = Goal::AtMost(40.0);

fn main() {
    introduce();
    println!("{ROUNDS} starts each, on SQLite.\n");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut fresh, mut again, mut first_run) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let deployment = Deployment::empty(folder.path().join(format!("serve-{round}")));
        fresh.push(Running::start(deployment.serving()).milliseconds());
        again.push(Running::start(deployment.serving()).milliseconds());
        first_run.push(
            Running::start(quickstart(&folder.path().join(format!("quickstart-{round}")))).milliseconds(),
        );
    }
    tell("start-up", "an empty database", "ms", &fresh, Some(START));
    tell("start-up", "a database that is there", "ms", &again, Some(START));
    tell(
        "start-up",
        "quickstart, which makes keys, license, operator and tenant first",
        "ms",
        &first_run,
        None,
    );
    for (case, name) in [("quickstart, the first time", "idle"), ("quickstart, again", "idle")] {
        let running = Running::start(quickstart(&folder.path().join(name)));
        sleep(IDLE);
        for (part, field, goal) in [("", "VmRSS:", Some(MEMORY)), (": its own", "RssAnon:", None)] {
            tell("idle memory", &format!("{case}{part}"), "MB", &[running.memory(field)], goal);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let size = fs::metadata(program()).expect("the program").len() as f64 / f64::from(1 << 20);
    tell("program", "size of the file", "MB", &[size], None);
}

fn tell(group: &str, case: &str, unit: &str, measured: &[f64], goal: Option<Goal>) {
    let mut figure = Figure { goal, ..Figure::median(group, case, unit, measured) };
    if measured.len() == 1 {
        figure.spread = None;
    }
    println!("{group}, {case}: {:.1} {unit} {:.1?} {goal:?}", figure.value, figure.spread);
    figure.tell();
}

fn program() -> PathBuf {
    let bench = std::env::current_exe().expect("this program");
    let folder = bench.ancestors().nth(2).expect("it stands in the folder of all programs");
    let program = folder.join("chancery");
    assert!(
        program.exists(),
        "there is no `{}`: cargo build --release -p chancery-server",
        program.display()
    );
    program
}

/// Where nobody else listens.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// A folder with a configuration, and no database yet.
struct Deployment(PathBuf);

impl Deployment {
    fn empty(folder: PathBuf) -> Self {
        fs::create_dir(&folder).expect("a folder");
        let config = format!(
            "[database]\nurl = \"sqlite://{}\"\n\n[deployment]\nid = \"site-1\"\n\
             shape = {{ packaging = \"server\", environment = \"production\" }}\n\n\
             [license.recipient]\nkey-id = \"site-1\"\nprivate-key-path = \"recipient.pem\"\n\n\
             [license.trust]\nroot-ca-bundle-path = \"roots.pem\"\n",
            folder.join("chancery.db").display()
        );
        fs::write(folder.join("chancery.toml"), config).expect("its configuration");
        Self(folder)
    }

    fn serving(&self) -> (Command, SocketAddr) {
        let (mut command, address) = (Command::new(program()), free_address());
        command.args(["serve", "--config", "chancery.toml"]).current_dir(&self.0);
        command.env("CHANCERY_SERVER__LISTEN", address.to_string());
        (command, address)
    }
}

fn quickstart(folder: &Path) -> (Command, SocketAddr) {
    let (mut command, address) = (Command::new(program()), free_address());
    command.arg("quickstart").arg("--dir").arg(folder).args(["--listen", &address.to_string()]);
    // The address it is told the first time stays in its configuration.
    command.env("CHANCERY_SERVER__LISTEN", address.to_string());
    (command, address)
}

/// A server that was started and is ready. It is stopped when dropped.
struct Running {
    process: Child,
    took: Duration,
}

impl Running {
    fn start((mut command, address): (Command, SocketAddr)) -> Self {
        let start = clock();
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start the server");
        let mut running = Self { process, took: Duration::ZERO };
        while !is_ready(address) {
            let ended = running.process.try_wait().expect("its state");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(start.elapsed() < PATIENCE, "the server does not become ready");
            sleep(Duration::from_millis(1));
        }
        running.took = start.elapsed();
        running
    }

    fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }

    fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(told.is_ok_and(|told| told.success()), "it is there to be told");
        drop(self.process.wait());
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        socket.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
