//! Whoever wants a tenant signs up: through HTTP, by mail that a server of somebody else's takes, on both databases.

/// The tests, on both databases.
macro_rules! on_both {
    ($($name:ident)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name(Database::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgresql() {
                super::$name(Database::postgres().await).await;
            }
        }
    )+};
}

mod administrators;
mod crashes;
mod parents;
mod policy;
mod requests;
mod retention;
mod site;
mod tokens;
