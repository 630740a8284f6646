//! What the acceptance tests share: the real program, started as a process, called as anybody calls it.

mod database;
mod fresh;
mod kept;
mod mail;
mod people;
mod vendor;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

pub use database::{alone, change, everything, text_of};
pub use fresh::Fresh;
pub use kept::{keep, kept, then_and_now};
pub use mail::{ChallengeService, MailServer};
pub use people::{PASSWORD, code, complete, in_session, nobody, operator, sign_in};
pub use vendor::{Vendor, Wanted, generous, under};

/// The folder of the programs, built like the tests themselves.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--bins", "--locked", "--quiet"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(root())
        .status()
        .expect("start cargo");
    assert!(built.success(), "the program builds");
    let this = std::env::current_exe().expect("the path of this test, or program");
    let folder = this.parent().expect("it stands in a folder");
    // Tests stand in a folder beside the programs.
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
});

/// The folder of the whole project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the project").to_owned()
}

/// `chancery` with these arguments, run to its end.
pub fn chancery<const N: usize>(args: [&str; N]) -> Output {
    program().args(args).output().expect("start chancery")
}

/// `chancery`, with an environment that says nothing about it.
pub fn program() -> Command {
    quietly(Path::new("chancery"))
}

/// `chancery-issuer`, with an environment that says nothing about it.
pub fn issuer() -> Command {
    quietly(Path::new("chancery-issuer"))
}

fn quietly(program: &Path) -> Command {
    let mut command = Command::new(PROGRAMS.join(program));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHANCERY_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a process wrote to a stream, as text.
pub fn text(stream: &[u8]) -> String {
    String::from_utf8_lossy(stream).into_owned()
}

/// A quickstart that is serving. It is stopped when dropped.
pub struct Quickstart {
    folder: TempDir,
    database: kit::Database,
    program: PathBuf,
    process: Option<Child>,
    /// What it told the newcomer.
    pub welcome: String,
}

impl Quickstart {
    /// From nothing, over this database.
    pub fn over(database: kit::Database) -> Self {
        Self::of("chancery".into(), database)
    }

    /// From nothing, over this database, with another program than this build's.
    pub fn of(program: PathBuf, database: kit::Database) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut quickstart = Self { folder, database, program, process: None, welcome: String::new() };
        quickstart.start();
        quickstart
    }

    /// What is started from now on is this build's program.
    pub fn upgrade(&mut self) {
        self.program = "chancery".into();
    }

    /// Starts it, or starts it again.
    pub fn start(&mut self) {
        let mut process = quietly(&self.program)
            .args(["quickstart", "--dir", "demo", "--listen", "127.0.0.1:0"])
            .env("CHANCERY_DATABASE__URL", self.database.url())
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(self.log())
            .spawn()
            .expect("start chancery");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        self.welcome.clear();
        for line in lines.by_ref() {
            let line = line.expect("a line of text");
            self.welcome += &line;
            self.welcome.push('\n');
            if line.starts_with("Stop with") {
                self.process = Some(process);
                return;
            }
        }
        process.wait().expect("its end");
        panic!("quickstart ended: {}\n{}", self.welcome, self.logged());
    }

    fn log(&self) -> fs::File {
        let path = self.folder.path().join("log");
        fs::File::options().create(true).append(true).open(path).expect("a file for its log")
    }

    /// The id of its process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Everything it has logged.
    pub fn logged(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// Another server of the same deployment, over the same database. It is stopped when dropped.
    pub fn replica(&self) -> Replica {
        let program = quietly(&self.program);
        let server = serving(program, self.folder.path(), self.database.url(), "demo/chancery.toml", "info");
        let credentials = self.credentials();
        let token = credentials["token"].as_str().expect("a token").to_owned();
        Replica { server, token }
    }

    /// `chancery` on its configuration and its database.
    pub fn chancery<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        quietly(&self.program)
            .args(args)
            .env("CHANCERY_DATABASE__URL", self.database.url())
            .env("CHANCERY_CONFIG", self.path("chancery.toml"))
            .env("CHANCERY_CREDENTIALS", self.path("credentials.json"))
            .current_dir(self.folder.path())
            .output()
            .expect("start chancery")
    }

    /// Changes the configuration it wrote. Takes effect at the next start.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.path("chancery.toml");
        let config = fs::read_to_string(&path).expect("its configuration");
        assert!(config.contains(from), "the configuration holds `{from}`");
        fs::write(path, config.replace(from, to)).expect("write its configuration");
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("demo").join(name)
    }

    /// The database it runs on.
    pub fn database(&self) -> &str {
        self.database.url()
    }

    /// The commands it offers, as they would be pasted.
    pub fn commands(&self) -> Vec<String> {
        let indented = self.welcome.lines().filter_map(|line| line.strip_prefix("     "));
        indented.filter(|line| line.contains(" --c")).map(str::to_owned).collect()
    }

    /// A line pasted into a shell where quickstart was called.
    pub fn paste(&self, line: &str) -> Output {
        Command::new("sh")
            .args(["-c", line])
            .env("CHANCERY_DATABASE__URL", self.database.url())
            .current_dir(self.folder.path())
            .output()
            .expect("start a shell")
    }

    /// A request as its operator.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let credentials = self.credentials();
        let url = format!("{}{path}", credentials["url"].as_str().expect("an address"));
        let token = credentials["token"].as_str().expect("a token");
        reqwest::Client::new().request(method, url).timeout(Duration::from_secs(30)).bearer_auth(token)
    }

    /// Calls a command as its operator.
    pub async fn call(&self, id: &str, input: Value) -> (StatusCode, Value) {
        let path = format!("/api/commands/{id}");
        answer(self.request(Method::POST, &path).json(&input)).await
    }

    /// The id of the tenant with this slug.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn tenant(&self, slug: &str) -> String {
        let (_, page) = self.call("tenancy.tenants.list", serde_json::json!({ "slug": slug })).await;
        page["tenants"][0]["tenantId"].as_str().expect("a tenant of this slug").to_owned()
    }

    /// The credentials it wrote.
    pub fn credentials(&self) -> Value {
        let text = fs::read_to_string(self.path("credentials.json")).expect("its credentials");
        serde_json::from_str(&text).expect("credentials in JSON")
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the process is there to be killed");
            process.wait().expect("its end");
        }
    }

    /// Tells it to stop, and waits until it has. Returns whether it ended well.
    pub fn stop(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        let told = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "the process is there to be told");
        process.wait().expect("its end").success()
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Another server of a deployment.
pub struct Replica {
    server: Server,
    token: String,
}

impl Replica {
    /// A request as the operator.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.url);
        reqwest::Client::new().request(method, url).timeout(Duration::from_secs(30)).bearer_auth(&self.token)
    }

    /// Where it serves.
    ///
    /// # Panics
    ///
    /// Never: it serves at an address.
    pub fn address(&self) -> SocketAddr {
        self.server.url.trim_start_matches("http://").parse().expect("an address")
    }

    /// Everything it has logged.
    ///
    /// # Panics
    ///
    /// Never: whoever writes it does not.
    pub fn logged(&self) -> String {
        self.server.logged()
    }

    /// Tells it to stop, and waits until it has. Returns whether it ended well.
    ///
    /// # Panics
    ///
    /// When it is not there to be told.
    pub fn stop(&mut self) -> bool {
        self.server.stop()
    }
}

/// A server as a process. It is stopped when dropped.
pub struct Server {
    process: Child,
    /// Where it serves.
    pub url: String,
    logged: Arc<Mutex<String>>,
}

/// This program's `serve` in this folder, on this database, by this configuration, logging what passes this filter; it serves.
pub(crate) fn serving(
    mut program: Command,
    folder: &Path,
    database: &str,
    config: &str,
    filter: &str,
) -> Server {
    let mut process = program
        .args(["serve", "--config", config])
        .env("CHANCERY_DATABASE__URL", database)
        .env("CHANCERY_SERVER__LISTEN", "127.0.0.1:0")
        .env("CHANCERY_LOG__FILTER", filter)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start chancery");
    let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines();
    let mut told = String::new();
    let address = lines.by_ref().find_map(|line| {
        let line = line.expect("a line of text");
        told += &(line.clone() + "\n");
        line.split_once("address=").map(|(_, address)| address.trim().to_owned())
    });
    let address = address.unwrap_or_else(|| panic!("the server serves: {told}"));
    let logged = Arc::new(Mutex::new(told));
    let log = Arc::clone(&logged);
    // Whoever writes to a pipe that nobody reads waits.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            *log.lock().expect("nobody panics here") += &(line + "\n");
        }
    });
    Server { process, url: format!("http://{address}"), logged }
}

impl Server {
    /// Tells it to stop, and waits until it has. Returns whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "the process is there to be told");
        self.process.wait().expect("its end").success()
    }

    /// Everything it has logged.
    pub(crate) fn logged(&self) -> String {
        self.logged.lock().expect("nobody panics there").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request and reads the JSON of its answer.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let body = response.text().await.expect("a body of text");
    let json =
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("an answer in JSON, not {status} {body:?}"));
    (status, json)
}

/// The code in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
