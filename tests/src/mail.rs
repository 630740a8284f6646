//! A mail server of somebody else's, and a service that tells people from programs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use serde_json::Value;

use crate::root;

/// A mail server that is running. It is stopped when dropped.
pub struct MailServer {
    process: Child,
    port: u16,
    taken: Receiver<Value>,
}

impl MailServer {
    /// On a port of its own, without protection.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With these options of `tests/foreign/smtp_server.py`.
    ///
    /// # Panics
    ///
    /// When it does not start; `tests/run` installs what it needs.
    pub fn with(options: &[&str]) -> Self {
        let python = root().join("target/foreign/venv/bin/python");
        assert!(python.exists(), "{} is not there: `tests/run` installs it", python.display());
        let mut process = Command::new(python)
            .arg(root().join("tests/foreign/smtp_server.py"))
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the mail server");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("the mail server listens; `tests/run` installs what it needs");
        let first = first.expect("a line of text");
        let port = first.strip_prefix("listening ").and_then(|port| port.parse().ok()).expect("its port");
        let (tell, taken) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mail = serde_json::from_str(&line).expect("a mail in JSON");
                if tell.send(mail).is_err() {
                    return;
                }
            }
        });
        Self { process, port, taken }
    }

    /// Its port on this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next mail it takes.
    ///
    /// # Panics
    ///
    /// When there is none within half a minute.
    pub fn next(&self) -> Value {
        self.taken.recv_timeout(Duration::from_secs(30)).expect("a mail")
    }

    /// Whether it takes no mail in this time.
    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.taken.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A service that speaks the siteverify protocol. It ends with the test.
pub struct ChallengeService {
    port: u16,
}

impl ChallengeService {
    /// What passes: this proof, from a site with this secret.
    pub const PROOF: &str = "a-person";
    /// The secret.
    pub const SECRET: &str = "site secret/+&";

    /// On a port of its own.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its port").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = judge(stream);
            }
        });
        Self { port }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/siteverify", self.port)
    }
}

fn judge(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let form = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(&body)));
    let form: Vec<_> = form.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default();
    let has = |name: &str, value: &str| form.contains(&(name.to_owned(), value.to_owned()));
    let answer = if !has("secret", ChallengeService::SECRET) {
        r#"{"success":false,"error-codes":["invalid-input-secret"]}"#
    } else if has("response", ChallengeService::PROOF) {
        r#"{"success":true,"hostname":"platform.example.com"}"#
    } else {
        r#"{"success":false,"error-codes":["invalid-input-response"]}"#
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
}
