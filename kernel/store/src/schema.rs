use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Store, StoreError};

/// What a process knows of the schema it runs on.
#[derive(Debug, Default)]
pub(crate) struct Schema(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How many steps it has.
    steps: Option<i64>,
    /// When it was seen to have changed.
    changed: Option<Instant>,
}

impl Schema {
    /// Whether statements that were prepared on a connection of this age are of this schema.
    pub(crate) fn fits(&self, age: Duration) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.changed.is_none_or(|changed| age < changed.elapsed())
    }

    fn learn(&self, steps: i64) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = known.steps.replace(steps).is_some_and(|before| before != steps);
        if differs {
            known.changed = Some(Instant::now());
        }
        differs
    }
}

impl Store {
    /// Looks whether another process has changed the schema since this was last asked, and if so lets go of all
    /// connections: PostgreSQL refuses, on each for ever, what was prepared there and would answer other columns now.
    pub async fn notice_migrations(&self) -> Result<bool, StoreError> {
        let steps: i64 =
            sqlx::query_scalar("SELECT count(*) FROM schema_migration").fetch_one(self.reader()).await?;
        Ok(self.schema.learn(steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_that_are_older_than_the_schema_do_not_fit() {
        let schema = Schema::default();
        assert!(!schema.learn(3) && !schema.learn(3), "nothing has changed");
        assert!(schema.fits(Duration::from_hours(1)));
        assert!(schema.learn(4));
        assert!(!schema.fits(Duration::from_hours(1)));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(schema.fits(Duration::from_millis(10)));
    }
}
