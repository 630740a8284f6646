//! The outbox, delivered to a mail server of somebody else's, on both databases.

use std::{fs, process::Command, sync::Arc, time::Duration};

use chancery_acceptance::{MailServer, change};
use envelope::StateKey;
use jiff::{SignedDuration, Timestamp};
use kernel::Ambient;
use mail::{Mail, Outbox, Security, Smtp, SmtpError, SmtpSettings, State};
use secrets::{Keeping, Mounted, Safe, Secret};
use serde_json::json;
use store::{Cause, Options, Store, sqlx};
use tokio::task::JoinHandle;
use uuid::Uuid;

const SECRET: &str = "token-0123456789";

fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        security: Security::None,
        account: None,
        ca: None,
        from: "Platform <no-reply@platform.example.com>".to_owned(),
        patience: Duration::from_secs(5),
    }
}

/// A password, as the environment holds it.
fn secret(password: &str) -> Secret {
    let source = Mounted::new([("SMTP_PASSWORD".to_owned(), password.to_owned())], "/nowhere");
    Secret::new("env:SMTP_PASSWORD".parse().unwrap(), Arc::new(source))
}

async fn store(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.unwrap();
    store.migrate(mail::MIGRATIONS).await.unwrap();
    store
}

/// The deployment's own key, as the server derives it.
struct Key(StateKey);

impl Safe for Key {
    fn seal(&self, label: &str, content: &[u8]) -> Option<String> {
        Some(self.0.seal(label, content))
    }

    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>> {
        self.0.open(label, sealed)
    }
}

fn sealing(store: &Store, settings: SmtpSettings, secret: &str) -> Outbox {
    let keeping = Keeping::within(Some(Arc::new(Key(StateKey::from_secret(secret.as_bytes())))));
    Outbox::new(store.clone(), Some(Smtp::new(settings).unwrap()), keeping)
}

fn outbox(store: &Store, settings: SmtpSettings) -> Outbox {
    sealing(store, settings, "the recipient key")
}

fn delivering(outbox: &Outbox) -> JoinHandle<()> {
    tokio::spawn(outbox.clone().deliver(Ambient::system()))
}

fn mail_to(to: &str, until: Timestamp) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: "Bestätigen".to_owned(),
        text: format!("Open https://platform.example.com/#{SECRET}\n").into(),
        until,
    }
}

fn in_an_hour() -> Timestamp {
    Ambient::system().now() + SignedDuration::from_hours(1)
}

async fn put(outbox: &Outbox, store: &Store, mail: &Mail) -> Uuid {
    let mut work = store.begin().await.unwrap();
    let id = outbox.enqueue(&mut work, &Ambient::system(), mail).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    id
}

async fn becomes(outbox: &Outbox, id: Uuid, state: State) {
    for _ in 0..300 {
        if outbox.state(id).await.unwrap() == Some(state) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is {:?}, not {state}", outbox.state(id).await.unwrap());
}

/// Every text the table holds.
async fn texts(store: &Store) -> String {
    let bodies: Vec<String> = sqlx::query_scalar("SELECT subject || body FROM mail_outbox")
        .fetch_all(store.reader())
        .await
        .unwrap();
    bodies.concat()
}

kit::on_both_engines! {
    async fn a_mail_is_sent_if_its_work_is_committed_and_its_text_is_kept_only_until_then(url: &str) {
        let (server, store) = (MailServer::start(), store(url).await);
        let outbox = outbox(&store, settings(server.port()));
        let mut undone = store.begin().await.unwrap();
        let never = mail_to("nobody@example.com", in_an_hour());
        outbox.enqueue(&mut undone, &Ambient::system(), &never).await.unwrap();
        drop(undone);
        let id = put(&outbox, &store, &mail_to("jo@example.com", in_an_hour())).await;
        let kept = texts(&store).await;
        assert!(kept.contains("sealed:") && !kept.contains(SECRET), "{kept}");

        let loops = delivering(&outbox);
        let mail = server.next();
        assert_eq!(mail["to"], json!(["jo@example.com"]));
        assert_eq!(mail["from"], "Platform <no-reply@platform.example.com>");
        assert_eq!(mail["subject"], "Bestätigen");
        assert_eq!(mail["id"], format!("<{id}@platform.example.com>"));
        assert_eq!(mail["text"].as_str().unwrap().trim(), format!("Open https://platform.example.com/#{SECRET}"));
        becomes(&outbox, id, State::Sent).await;
        assert_eq!(texts(&store).await, "", "no text stays");
        assert!(outbox.is_healthy());
        assert!(server.is_quiet_for(Duration::from_secs(3)), "nothing is sent twice, and nothing undone");
        assert_eq!(outbox.backlog().await.unwrap().sent, 1);
        loops.abort();
    }

    async fn what_the_server_refuses_for_good_is_dead_and_what_it_refuses_for_now_is_tried_again(url: &str) {
        let (server, store) = (MailServer::start(), store(url).await);
        let outbox = outbox(&store, settings(server.port()));
        let dead = put(&outbox, &store, &mail_to("refused@example.com", in_an_hour())).await;
        let malformed = put(&outbox, &store, &mail_to("no address", in_an_hour())).await;
        let soon = Ambient::system().now() + SignedDuration::from_secs(8);
        let waiting = put(&outbox, &store, &mail_to("busy@example.com", soon)).await;
        let loops = delivering(&outbox);
        becomes(&outbox, dead, State::Dead).await;
        becomes(&outbox, malformed, State::Dead).await;
        assert_eq!(outbox.state(waiting).await.unwrap(), Some(State::Pending));
        becomes(&outbox, waiting, State::Dead).await;
        let attempts: i64 = sqlx::query_scalar("SELECT attempts FROM mail_outbox WHERE id = $1")
            .bind(waiting.to_string())
            .fetch_one(store.reader())
            .await
            .unwrap();
        assert!(attempts >= 2, "{attempts}");
        assert_eq!(texts(&store).await, "");
        loops.abort();
    }

    async fn a_text_is_sent_to_nobody_but_the_address_it_was_written_to_and_under_its_own_key(url: &str) {
        let (server, store) = (MailServer::start(), store(url).await);
        let outbox = outbox(&store, settings(server.port()));
        let redirected = put(&outbox, &store, &mail_to("jo@example.com", in_an_hour())).await;
        change(url, "UPDATE mail_outbox SET recipient = 'mallory@example.com'").await;
        let after = put(&outbox, &store, &mail_to("al@example.com", in_an_hour())).await;
        let loops = delivering(&outbox);
        assert_eq!(server.next()["to"], json!(["al@example.com"]), "what cannot be read holds up nothing");
        becomes(&outbox, after, State::Sent).await;
        assert!(outbox.is_healthy(), "the mail server is not to blame");
        loops.abort();

        change(url, "UPDATE mail_outbox SET recipient = 'jo@example.com', due_at = 0").await;
        let loops = delivering(&sealing(&store, settings(server.port()), "another key"));
        assert!(server.is_quiet_for(Duration::from_secs(2)));
        loops.abort();
        change(url, "UPDATE mail_outbox SET due_at = 0").await;
        let loops = delivering(&outbox);
        assert_eq!(server.next()["to"], json!(["jo@example.com"]));
        becomes(&outbox, redirected, State::Sent).await;
        loops.abort();
    }

    async fn mail_waits_for_a_server_that_is_away(url: &str) {
        let store = store(url).await;
        let port = MailServer::start().port();
        let outbox = outbox(&store, settings(port));
        let id = put(&outbox, &store, &mail_to("jo@example.com", in_an_hour())).await;
        let loops = delivering(&outbox);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!outbox.is_healthy());
        assert_eq!(outbox.state(id).await.unwrap(), Some(State::Pending));
        let server = MailServer::with(&["--port", &port.to_string()]);
        assert_eq!(server.next()["to"], json!(["jo@example.com"]));
        becomes(&outbox, id, State::Sent).await;
        assert!(outbox.is_healthy());
        loops.abort();
    }

    async fn replicas_share_the_work_and_send_nothing_twice(url: &str) {
        let (server, one) = (MailServer::start(), store(url).await);
        let first = outbox(&one, settings(server.port()));
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(put(&first, &one, &mail_to("jo@example.com", in_an_hour())).await);
        }
        let replicas: Vec<_> = [one.clone(), store(url).await, store(url).await]
            .iter()
            .map(|store| delivering(&outbox(store, settings(server.port()))))
            .collect();
        let mut sent: Vec<String> = ids.iter().map(|_| server.next()["id"].as_str().unwrap().to_owned()).collect();
        assert!(server.is_quiet_for(Duration::from_secs(2)));
        sent.sort();
        let mut wanted: Vec<_> = ids.iter().map(|id| format!("<{id}@platform.example.com>")).collect();
        wanted.sort();
        assert_eq!(sent, wanted);
        for replica in replicas {
            replica.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_tls_to_a_server_whose_certificate_is_trusted_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
                .split(' '),
        )
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &file("key.pem"),
            "-out",
            &file("cert.pem"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success());
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let server = MailServer::with(&[
        "--certificate",
        &certificate,
        "--key",
        &key,
        "--user",
        "platform",
        "--password",
        "s3cret",
    ]);
    let protected = |ca: Option<Vec<u8>>, password: &str| SmtpSettings {
        host: "localhost".to_owned(),
        security: Security::StartTls,
        account: Some(("platform".to_owned(), secret(password))),
        ca,
        ..settings(server.port())
    };
    let trusted = fs::read(&certificate).unwrap();
    let database = kit::Database::sqlite();
    let store = store(database.url()).await;

    for wrong in [protected(None, "s3cret"), protected(Some(trusted.clone()), "wrong")] {
        let outbox = outbox(&store, wrong);
        let id = put(&outbox, &store, &mail_to("jo@example.com", in_an_hour())).await;
        let loops = delivering(&outbox);
        assert!(server.is_quiet_for(Duration::from_secs(2)));
        assert_eq!(outbox.state(id).await.unwrap(), Some(State::Pending), "the mail is not to blame");
        assert!(!outbox.is_healthy());
        loops.abort();
        let mut work = store.begin().await.unwrap();
        sqlx::query("DELETE FROM mail_outbox").execute(&mut *work).await.unwrap();
        work.commit(Cause::Upkeep).await.unwrap();
    }
    let outbox = outbox(&store, protected(Some(trusted), "s3cret"));
    put(&outbox, &store, &mail_to("jo@example.com", in_an_hour())).await;
    let loops = delivering(&outbox);
    assert_eq!(server.next()["protected"], true);
    loops.abort();
}

#[test]
fn a_password_does_not_travel_in_the_clear() {
    let account = Some(("platform".to_owned(), secret("s3cret")));
    let refused = Smtp::new(SmtpSettings { account, ..settings(25) });
    assert!(matches!(refused, Err(SmtpError::Exposed)));
}
