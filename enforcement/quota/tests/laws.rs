//! Every implementation, under the laws of its port.

use chancery_quota::{MIGRATIONS, MemoryOutcomes, MemoryQuota, SqlOutcomes, SqlQuota};
use kit::Database;
use store::{Options, Store};
use uuid::Uuid;

const NODE: Uuid = Uuid::from_u128(1);

async fn open(database: &Database) -> Store {
    let store = Store::open(database.url(), Options::default()).await.unwrap();
    store.migrate(MIGRATIONS).await.unwrap();
    store
}

async fn memory_quota() -> (MemoryQuota, ()) {
    (MemoryQuota::new(), ())
}

async fn sqlite_quota() -> (SqlQuota, Database) {
    let database = Database::sqlite();
    (SqlQuota::new(open(&database).await, NODE), database)
}

async fn postgres_quota() -> (SqlQuota, Database) {
    let database = Database::postgres().await;
    (SqlQuota::new(open(&database).await, NODE), database)
}

async fn memory_outcomes() -> (MemoryOutcomes, ()) {
    (MemoryOutcomes::new(), ())
}

async fn sqlite_outcomes() -> (SqlOutcomes, Database) {
    let database = Database::sqlite();
    (SqlOutcomes::new(open(&database).await, NODE), database)
}

async fn postgres_outcomes() -> (SqlOutcomes, Database) {
    let database = Database::postgres().await;
    (SqlOutcomes::new(open(&database).await, NODE), database)
}

chancery_quota::metered_store_suite!(metered_in_memory, memory_quota);
chancery_quota::metered_store_suite!(metered_on_sqlite, sqlite_quota);
chancery_quota::metered_store_suite!(metered_on_postgres, postgres_quota);

chancery_quota::outcome_store_suite!(outcomes_in_memory, memory_outcomes);
chancery_quota::outcome_store_suite!(outcomes_on_sqlite, sqlite_outcomes);
chancery_quota::outcome_store_suite!(outcomes_on_postgres, postgres_outcomes);
