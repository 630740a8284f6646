//! Opening a database, and the unit of work.

use std::error::Error as _;
use std::time::Duration;

use chancery_store::{Cause, Engine, Options, Store, StoreError, sqlx};
use kit::Database;

async fn noted(store: &Store) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM note ORDER BY text").fetch_all(store.reader()).await.unwrap()
}

async fn note(store: &Store, text: &str) -> Result<(), StoreError> {
    let mut work = store.begin().await?;
    sqlx::query("INSERT INTO note (text) VALUES ($1)").bind(text).execute(&mut *work).await?;
    work.commit(Cause::Upkeep).await
}

async fn open_with_notes(url: &str) -> Store {
    let store = Store::open(url, Options::default()).await.unwrap();
    let mut work = store.begin().await.unwrap();
    sqlx::query("CREATE TABLE note (text TEXT PRIMARY KEY)").execute(&mut *work).await.unwrap();
    work.commit(Cause::Upkeep).await.unwrap();
    store
}

fn whole_story(error: &StoreError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(format!("{error:?} {error}"), |story, cause| format!("{story}: {cause}"))
}

kit::on_both_engines! {
    async fn committed_work_is_read_back(url: &str) {
        let store = open_with_notes(url).await;
        note(&store, "kept").await.unwrap();
        assert_eq!(noted(&store).await, ["kept"]);
        store.ping().await.unwrap();
    }

    async fn dropped_work_never_happened(url: &str) {
        let store = open_with_notes(url).await;
        let mut work = store.begin().await.unwrap();
        sqlx::query("INSERT INTO note (text) VALUES ('lost')").execute(&mut *work).await.unwrap();
        drop(work);
        note(&store, "kept").await.unwrap();
        assert_eq!(noted(&store).await, ["kept"]);
    }

    async fn a_taken_key_is_told_from_other_failures(url: &str) {
        let store = open_with_notes(url).await;
        note(&store, "once").await.unwrap();
        assert!(note(&store, "once").await.unwrap_err().is_unique_violation());
        let nonsense = sqlx::query("SELECT nonsense FROM note").execute(store.reader()).await;
        assert!(!StoreError::from(nonsense.unwrap_err()).is_unique_violation());
    }

    async fn concurrent_writers_all_succeed(url: &str) {
        let store = open_with_notes(url).await;
        let writers: Vec<_> = (0..32)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { note(&store, &n.to_string()).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(noted(&store).await.len(), 32);
    }

    async fn a_second_process_can_write_too(url: &str) {
        let ours = open_with_notes(url).await;
        let theirs = Store::open(url, Options::default()).await.unwrap();
        let work = ours.begin().await.unwrap();
        let waiting = tokio::spawn(async move { note(&theirs, "theirs").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        work.commit(Cause::Upkeep).await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(noted(&ours).await, ["theirs"]);
    }

    async fn work_abandoned_at_any_moment_leaves_no_lock_behind(url: &str) {
        let store = open_with_notes(url).await;
        for n in 0..60 {
            let hurried = Duration::from_micros(n * 40);
            drop(tokio::time::timeout(hurried, note(&store, &n.to_string())).await);
        }
        note(&store, "last").await.unwrap();
        assert!(noted(&store).await.contains(&"last".to_owned()));
    }

    async fn a_closed_store_answers_nobody(url: &str) {
        let store = open_with_notes(url).await;
        store.close().await;
        assert!(store.ping().await.is_err());
    }
}

#[tokio::test]
async fn sqlite_is_durable_and_has_one_writer() {
    let database = Database::sqlite();
    let store = open_with_notes(database.url()).await;
    assert_eq!(store.engine(), Engine::Sqlite);
    let mut work = store.begin().await.unwrap();
    for (pragma, expected) in [
        ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
    ] {
        assert_eq!(sqlx::query_scalar::<_, String>(pragma).fetch_one(&mut *work).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_sqlite_reader_cannot_write() {
    let database = Database::sqlite();
    let store = open_with_notes(database.url()).await;
    let refused = sqlx::query("INSERT INTO note (text) VALUES ('sneaked in')").execute(store.reader()).await;
    assert!(refused.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_create_the_same_file_together_all_open_it() {
    let database = Database::sqlite();
    let openers: Vec<_> = (0..16)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { Store::open(&url, Options::default()).await.map(drop) })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/no/such/place.db", folder.path().display());
    let error = Store::open(&url, Options::default()).await.unwrap_err();
    assert!(matches!(&error, StoreError::NoFolder { folder, .. } if folder.ends_with("no/such")));
    assert!(error.to_string().contains("no/such/place.db"), "{error}");
}

#[tokio::test]
async fn a_sqlite_path_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plain.db", "with space.db", "100%41.db", "a#b.db", "ä:b.db"] {
        let path = folder.path().join(name);
        for url in [format!("sqlite://{}", path.display()), format!("sqlite:{}", path.display())] {
            Store::open(&url, Options::default()).await.unwrap();
        }
        assert!(path.is_file(), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://chancery@{}/chancery", silent.local_addr().unwrap());
    let options = Options { patience: Duration::from_millis(100), ..Options::default() };
    let error = Store::open(&url, options).await.unwrap_err();
    assert!(whole_story(&error).contains("timed out"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear Sir or Madam, this is not a database. ".repeat(100)).unwrap();
    let error = Store::open(&format!("sqlite://{}", path.display()), Options::default()).await.unwrap_err();
    let story = whole_story(&error);
    assert!(story.contains("letter.txt") && story.contains("file is not a database"), "{story}");
}

#[tokio::test]
async fn only_files_and_servers_are_databases() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://x.db?mode=memory", "sqlite://"] {
        let error = Store::open(url, Options::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::NoFile), "{url}: {error}");
    }
    for url in ["mysql://localhost/x", "", "chancery.db"] {
        let error = Store::open(url, Options::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Scheme), "{url}: {error}");
    }
}

#[tokio::test]
async fn no_error_tells_the_password() {
    let options = Options { patience: Duration::from_millis(300), ..Options::default() };
    for url in [
        "postgres://chancery:hunter2@127.0.0.1:1/chancery",
        "postgres://chancery:hunter2@127.0.0.1:port/chancery",
        "postgres://chancery:hunter2@127.0.0.1:1/chancery?sslmode=whatever",
        "postgres:chancery:hunter2",
        "chancery:hunter2@127.0.0.1",
        "hunter2",
    ] {
        let story = whole_story(&Store::open(url, options).await.unwrap_err());
        assert!(!story.contains("hunter2"), "{story}");
    }
    let database = Database::postgres().await;
    let store = Store::open(database.url(), options).await.unwrap();
    let shown = format!("{store:?} {:?}", store.begin().await.unwrap());
    assert!(!shown.contains("postgres:"), "{shown}");
}
