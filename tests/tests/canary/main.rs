//! A secret that is sent everywhere is found nowhere: through every field of every command, every header and the
//! configuration; in no log, trace, metric, audit row, export or error. At the most talkative level of logging there is.
//!
//! Two walks: an operator's, and that of whoever sets up a server which nobody has set up. Together they go through every
//! command of the registry.

mod collector;
mod headers;
mod inputs;
mod walk;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use chancery_acceptance::{Fresh, Quickstart, program, text};
use collector::Collector;
use kit::Database;
use serde_json::Value;
use store::{
    Options, Store,
    sqlx::{self, AssertSqlSafe},
};
use tempfile::TempDir;
use walk::Walk;

/// What no text of ours holds by chance. It is a slug, too, so that it comes as far as it can.
const CANARY: &str = "canary-5ec2e7";

/// The same as the name of a field, which is told to whoever sent it, and to nobody else.
const NAME: &str = "canary-name-5ec2e7";

/// In the configuration: as the header, as part of an address, and as the key that webhooks are signed with.
const KEY: &str = "whsec_Y2FuYXJ5LTVlYzJlNy1jYW5hcnktNWVjMmU3";

/// Where a server sends and writes, with secrets wherever there is a place for one.
struct Places {
    collector: Collector,
    secrets: TempDir,
}

impl Places {
    fn new() -> Self {
        Self { collector: Collector::start(), secrets: tempfile::tempdir().expect("a temporary folder") }
    }

    fn configuration(&self) -> String {
        let address = &self.collector.address;
        let secret = |name: &str, text: &str| {
            let path = self.secrets.path().join(name);
            fs::write(&path, text).expect("write a secret");
            path.display().to_string()
        };
        let (authorization, key) = (secret("authorization", &format!("Bearer {CANARY}")), secret("key", KEY));
        let good = secret("good", &format!("http://{address}/{CANARY}"));
        let bad = secret("bad", &format!("http://{CANARY}:{CANARY}@127.0.0.1:1/{CANARY}?token={CANARY}"));
        format!(
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
            "#
        )
    }

    /// Looks for it in everything that a server wrote and sent and, where it has ended, in what is told of it.
    async fn hold_nothing(
        &self,
        walk: &Walk,
        config: &Path,
        database: &str,
        metrics: String,
        logged: String,
    ) {
        let export = config.with_file_name("export.jsonl");
        let mut told = String::new();
        let path = config.to_str().expect("a path of text");
        for line in [
            vec!["audit", "export", "--config", path, "--out", export.to_str().expect("a path of text")],
            vec!["audit", "verify", "--config", path],
            vec!["config", "check", "--json"],
            vec!["doctor", "--json"],
        ] {
            let mut chancery = program();
            chancery.args(line).env("CHANCERY_CONFIG", config).env("CHANCERY_DATABASE__URL", database);
            let output = chancery.output().expect("start chancery");
            told += &(text(&output.stdout) + &text(&output.stderr));
        }
        let read = |path: &Path| fs::read_to_string(path).expect("a file it wrote");
        let (export, archive) = (read(&export), read(&config.with_file_name("archive.jsonl")));
        let mut places = vec![
            ("the log", logged),
            ("what was sent", self.collector.had()),
            ("the metrics", metrics),
            ("the export", export),
            ("the archive", archive),
            ("a command line", told),
        ];
        let markers =
            ["TRACE", "command ", "chancery_command_duration_seconds", "\"entry\"", "eventId", "\"checks\""];
        for ((place, text), marker) in places.iter().zip(markers) {
            assert!(text.contains(marker), "there is something to look through in {place}: `{marker}`");
        }
        let store = Store::open(database, Options::default()).await.expect("its database");
        for column in
            ["name", "actor", "command", "module", "error_code", "correlation_id", "trace_id", "metadata"]
        {
            let sql = format!("SELECT coalesce({column}, '') FROM audit_event");
            let rows: Vec<String> =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(store.reader()).await.expect("its rows");
            if column == "command" {
                let recorded: BTreeSet<_> = rows.iter().cloned().collect();
                let unseen: Vec<_> = walk.walked.difference(&recorded).collect();
                assert!(unseen.is_empty(), "every call has an event: {unseen:?}");
            }
            places.push(("an audit row", rows.join("\n")));
        }
        store.close().await;
        for (place, text) in &places {
            let secrets = [CANARY, NAME, &KEY["whsec_".len()..]];
            if let Some(at) = secrets.iter().find_map(|secret| text.find(secret)) {
                let (from, to) =
                    (text.floor_char_boundary(at.saturating_sub(300)), text.floor_char_boundary(at + 300));
                panic!("it is in {place}: …{}…", &text[from..to]);
            }
        }
    }
}

/// What telemetry and sinks have sent by then is all there is to send.
const SENDING: Duration = Duration::from_secs(4);

/// An operator's walk. Answers the commands it went through, and those there are.
async fn an_operator_sends_it(database: Database) -> (BTreeSet<String>, BTreeSet<String>) {
    let places = Places::new();
    let mut quickstart = Quickstart::over(database);
    assert!(quickstart.stop());
    quickstart.configure(r#""warn,chancery_license=info""#, r#""trace""#);
    quickstart.configure("[log]", &format!("{}\n[log]", places.configuration()));
    quickstart.start();
    let credentials = quickstart.credentials();
    let (url, token) = (credentials["url"].as_str().expect("a url"), credentials["token"].as_str());
    let mut walk = Walk::at(url, token);
    walk.everywhere().await;
    assert!(walk.accepted.len() >= 5, "{:?}", walk.accepted);

    let report = quickstart.chancery(["coverage", "--format", "json"]);
    let report: Value = serde_json::from_slice(&report.stdout).expect("the coverage report");
    let mut open = BTreeSet::new();
    for command in report["commands"].as_array().expect("a list of commands") {
        let id = command["id"].as_str().expect("an id");
        // What is for the program itself.
        if command["mode"] == "INTERNAL_SYSTEM" {
            walk.nowhere(id).await;
        } else {
            open.insert(id.to_owned());
        }
    }
    let metrics = walk.metrics().await;
    tokio::time::sleep(SENDING).await;
    assert!(quickstart.stop());
    walk.was_not_answered();
    let config = quickstart.path("chancery.toml");
    places.hold_nothing(&walk, &config, quickstart.database(), metrics, quickstart.logged()).await;
    (walk.walked, open)
}

/// The walk of whoever sets up. Answers the commands it went through.
async fn whoever_sets_up_sends_it(database: Database) -> BTreeSet<String> {
    let places = Places::new();
    let mut fresh = Fresh::telling(database, &places.configuration(), "trace");
    let mut walk = Walk::at(fresh.url(), None);
    walk.everywhere().await;
    for taken in ["setup.onboarding.save", "setup.platform.bootstrap", "setup.license-request.generate"] {
        assert!(walk.accepted.contains(taken), "{taken} is not among {:?}", walk.accepted);
    }
    let metrics = walk.metrics().await;
    tokio::time::sleep(SENDING).await;
    assert!(fresh.stop());
    walk.was_not_answered();
    places.hold_nothing(&walk, &fresh.path("chancery.toml"), fresh.database(), metrics, fresh.logged()).await;
    walk.walked
}

async fn a_secret_that_is_sent_everywhere_is_found_nowhere(database: Database, fresh: Database) {
    let (by_an_operator, all) = an_operator_sends_it(database).await;
    let in_the_setup = whoever_sets_up_sends_it(fresh).await;
    let walked: BTreeSet<_> = by_an_operator.union(&in_the_setup).cloned().collect();
    assert_eq!(walked, all, "every command of the registry is called");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_sent_everywhere_is_found_nowhere_on_sqlite() {
    a_secret_that_is_sent_everywhere_is_found_nowhere(Database::sqlite(), Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_sent_everywhere_is_found_nowhere_on_postgresql() {
    let (database, fresh) = (Database::postgres().await, Database::postgres().await);
    a_secret_that_is_sent_everywhere_is_found_nowhere(database, fresh).await;
}
