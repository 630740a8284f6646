//! The database of a deployment, looked into and changed behind its back.

use std::time::Duration;

use store::{
    Cause, Engine, Options, Store,
    sqlx::{self, AssertSqlSafe},
};

/// Every row of every table as text, by table.
pub async fn everything(url: &str) -> Vec<(String, String)> {
    let store = Store::open(url, Options::default()).await.expect("the database opens");
    let tables = match store.engine() {
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Engine::Postgres => "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'",
    };
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(store.reader()).await.expect("its rows");
    let mut rows = Vec::new();
    for table in tables {
        let row = match store.engine() {
            Engine::Postgres => "CAST(t AS TEXT)".to_owned(),
            Engine::Sqlite => {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(columns))
                    .fetch_all(store.reader())
                    .await
                    .expect("its rows");
                let quoted: Vec<_> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
                quoted.join(" || ' ' || ")
            }
        };
        let sql = format!("SELECT {row} FROM \"{table}\" t");
        let found: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(store.reader()).await.expect("its rows");
        rows.extend(found.into_iter().map(|row| (table.clone(), row)));
    }
    store.close().await;
    rows
}

/// The one text that this query answers with.
pub async fn text_of(url: &str, query: &'static str) -> String {
    let store = Store::open(url, Options::default()).await.expect("the database opens");
    let text = sqlx::query_scalar(query).fetch_one(store.reader()).await.expect("a text");
    store.close().await;
    text
}

/// Waits until nobody else is connected. A server of databases may still be doing what somebody who died has told it last.
pub async fn alone(url: &str) {
    let store = Store::open(url, Options::default()).await.expect("the database opens");
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    for _ in 0..600 {
        let left = match store.engine() {
            Engine::Sqlite => 0,
            Engine::Postgres => {
                sqlx::query_scalar::<_, i64>(others).fetch_one(store.reader()).await.expect("a number")
            }
        };
        if left == 0 {
            store.close().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("somebody is still connected after a minute");
}

/// Changes what is there, as if time had passed, or somebody had.
pub async fn change(url: &str, statement: &'static str) {
    let store = Store::open(url, Options::default()).await.expect("the database opens");
    let mut work = store.begin().await.expect("a unit of work");
    sqlx::query(statement).execute(&mut *work).await.expect("it is changed");
    work.commit(Cause::Upkeep).await.expect("it is committed");
    store.close().await;
}
