//! Migrations: in order, once, all or none.

use std::error::Error as _;

use chancery_store::{Migration, Options, Store, StoreError, sqlx};

const NOTE: Migration = Migration {
    version: 20_261_122_000_100,
    name: "note",
    sql: "CREATE TABLE note (text TEXT NOT NULL); CREATE INDEX note_text ON note (text);",
};
const AUTHOR: Migration = Migration {
    version: 20_261_122_000_200,
    name: "note author",
    sql: "ALTER TABLE note ADD COLUMN author TEXT",
};

async fn open(url: &str) -> Store {
    Store::open(url, Options::default()).await.unwrap()
}

/// Without the store's own.
fn of_modules(mut steps: Vec<Migration>) -> Vec<Migration> {
    steps.retain(|step| step.name != "open calls");
    steps
}

async fn has_authors(store: &Store) -> bool {
    sqlx::query("SELECT author FROM note").fetch_all(store.reader()).await.is_ok()
}

kit::on_both_engines! {
    async fn steps_are_applied_once_and_in_order(url: &str) {
        let store = open(url).await;
        assert_eq!(of_modules(store.pending(&[AUTHOR, NOTE]).await.unwrap()), [NOTE, AUTHOR]);
        assert_eq!(of_modules(store.migrate(&[AUTHOR, NOTE]).await.unwrap()), [NOTE, AUTHOR]);
        assert!(has_authors(&store).await);
        assert_eq!(of_modules(store.migrate(&[NOTE, AUTHOR]).await.unwrap()), []);
        assert_eq!(of_modules(store.pending(&[NOTE, AUTHOR]).await.unwrap()), []);
    }

    async fn what_was_prepared_before_another_process_changed_the_schema_is_prepared_anew(url: &str) {
        let (running, newer) = (open(url).await, open(url).await);
        newer.migrate(&[NOTE]).await.unwrap();
        let all = || sqlx::query("SELECT * FROM note").fetch_all(running.reader());
        assert!(!running.notice_migrations().await.unwrap());
        all().await.unwrap();
        newer.migrate(&[NOTE, AUTHOR]).await.unwrap();
        // Until it is noticed, PostgreSQL may refuse.
        drop(all().await);
        assert!(running.notice_migrations().await.unwrap());
        for _ in 0..20 {
            all().await.unwrap();
        }
        assert!(!running.notice_migrations().await.unwrap(), "it is noticed once");
    }

    async fn looking_at_what_is_pending_changes_nothing(url: &str) {
        let store = open(url).await;
        store.pending(&[NOTE]).await.unwrap();
        assert!(sqlx::query("SELECT * FROM schema_migration").fetch_all(store.reader()).await.is_err());
    }

    async fn a_failing_step_takes_the_others_back(url: &str) {
        let store = open(url).await;
        let broken = Migration { sql: "CREATE TABEL oops", ..AUTHOR };
        let error = store.migrate(&[NOTE, broken]).await.unwrap_err();
        assert!(matches!(error, StoreError::Migration { version, .. } if version == AUTHOR.version), "{error}");
        assert!(error.source().unwrap().to_string().contains("TABEL"));
        assert_eq!(of_modules(store.migrate(&[NOTE, AUTHOR]).await.unwrap()), [NOTE, AUTHOR]);
    }

    async fn what_the_engines_say_differently_is_said_to_each_in_its_own_words(url: &str) {
        let store = open(url).await;
        let trigger = Migration {
            sql: "
                CREATE TABLE note (text TEXT NOT NULL);
                -- sqlite
                CREATE TRIGGER note_kept BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'notes are kept'); END;
                -- postgres
                CREATE FUNCTION note_kept() RETURNS trigger LANGUAGE plpgsql
                    AS $$ BEGIN RAISE EXCEPTION 'notes are kept'; END $$;
                CREATE TRIGGER note_kept BEFORE DELETE ON note FOR EACH ROW EXECUTE FUNCTION note_kept();
                -- both
                ALTER TABLE note ADD COLUMN author TEXT;
            ",
            ..NOTE
        };
        store.migrate(&[trigger]).await.unwrap();
        assert_eq!(of_modules(store.migrate(&[trigger]).await.unwrap()), []);
        assert!(has_authors(&store).await);
        let mut work = store.begin().await.unwrap();
        sqlx::query("INSERT INTO note (text) VALUES ('kept')").execute(&mut *work).await.unwrap();
        let refused = sqlx::query("DELETE FROM note").execute(&mut *work).await.unwrap_err();
        assert!(refused.to_string().contains("notes are kept"), "{refused}");
    }

    async fn an_older_program_refuses_a_newer_schema(url: &str) {
        let store = open(url).await;
        store.migrate(&[NOTE, AUTHOR]).await.unwrap();
        for refusal in [store.migrate(&[NOTE]).await, store.pending(&[NOTE]).await] {
            assert!(matches!(refusal, Err(StoreError::SchemaNewer { version }) if version == AUTHOR.version));
        }
    }

    async fn an_edited_step_is_refused(url: &str) {
        let store = open(url).await;
        store.migrate(&[NOTE]).await.unwrap();
        let edited = Migration { sql: "CREATE TABLE note (text TEXT)", ..NOTE };
        let error = store.migrate(&[edited, AUTHOR]).await.unwrap_err();
        assert!(matches!(error, StoreError::MigrationChanged { version, .. } if version == NOTE.version), "{error}");
        assert!(!has_authors(&store).await);
    }

    async fn two_steps_with_one_version_are_both_named(url: &str) {
        let store = open(url).await;
        let twin = Migration { version: NOTE.version, ..AUTHOR };
        let error = store.migrate(&[NOTE, twin]).await.unwrap_err();
        assert_eq!(error.to_string(), "migrations `note` and `note author` both have version 20261122000100");
    }

    async fn processes_that_start_together_take_turns(url: &str) {
        let mut starting = Vec::new();
        for _ in 0..8 {
            let store = open(url).await;
            starting.push(tokio::spawn(async move { of_modules(store.migrate(&[NOTE, AUTHOR]).await.unwrap()).len() }));
        }
        let mut applied = 0;
        for process in starting {
            applied += process.await.unwrap();
        }
        assert_eq!(applied, 2, "exactly one of them did the work");
    }
}
