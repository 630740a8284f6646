//! What deny mode would have refused, kept beyond the life of a process (semantics 8.4).

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use jiff::Timestamp;
use pipeline::{Deciding, WouldBeDenied, WouldBeDeniedCommand, described};
use resolver::Described;
use sdk::{
    descriptors::denial::Reason,
    prelude::*,
    store::sqlx::{self, Row},
};
use tokio::sync::Mutex;

/// The counts of all replicas together. Each adds its own from time to time. Clones share their state.
#[derive(Clone)]
pub struct GapLog {
    store: Store,
    deciding: Arc<Deciding>,
    added: Arc<Mutex<Added>>,
}

/// What this process has added.
#[derive(Default)]
struct Added {
    /// It is written down that counting has begun.
    begun: bool,
    /// How many calls of each command.
    calls: HashMap<String, u64>,
}

impl GapLog {
    /// Over the counts of this process, which has added nothing yet.
    pub fn new(store: Store, deciding: Arc<Deciding>) -> Self {
        Self { store, deciding, added: Arc::default() }
    }

    /// Adds what this process counted since it added last. Writes nothing where there is nothing. A process that ends in
    /// the middle may lose that much, or have it told twice.
    pub async fn keep(&self) -> Result<(), StoreError> {
        let mut added = self.added.lock().await;
        let counted = self.deciding.would_be_denied();
        let Some(since) = counted.since else { return Ok(()) };
        let news: Vec<_> = unkept(counted.commands, &added.calls).filter(|it| it.calls > 0).collect();
        if news.is_empty() && added.begun {
            return Ok(());
        }
        let mut work = self.store.begin().await?;
        sqlx::query("INSERT INTO platform_gap_watch (id, since) VALUES (1, $1) ON CONFLICT (id) DO NOTHING")
            .bind(since.as_microsecond())
            .execute(&mut *work)
            .await?;
        for news in &news {
            sqlx::query(
                "INSERT INTO platform_gap (command, reason, calls, last_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (command) DO UPDATE SET reason = excluded.reason,
                     calls = platform_gap.calls + excluded.calls,
                     last_at = CASE WHEN platform_gap.last_at > excluded.last_at
                         THEN platform_gap.last_at ELSE excluded.last_at END",
            )
            .bind(&news.command)
            .bind(news.reason.as_str())
            .bind(i64::try_from(news.calls).unwrap_or(i64::MAX))
            .bind(news.last.as_microsecond())
            .execute(&mut *work)
            .await?;
        }
        work.commit(Cause::Upkeep).await?;
        added.begun = true;
        for news in news {
            *added.calls.entry(news.command).or_default() += news.calls;
        }
        Ok(())
    }

    /// What was counted, by others as far as they have added it. Gaps that are closed by now are left out.
    pub async fn told(&self) -> Result<WouldBeDenied, StoreError> {
        let added = self.added.lock().await;
        let here = self.deciding.would_be_denied();
        let begun: Option<i64> = sqlx::query_scalar("SELECT since FROM platform_gap_watch")
            .fetch_optional(self.store.reader())
            .await?;
        let since = begun.map(instant).into_iter().chain(here.since).min();
        let mut told: BTreeMap<String, WouldBeDeniedCommand> =
            unkept(here.commands, &added.calls).map(|it| (it.command.clone(), it)).collect();
        for row in sqlx::query("SELECT * FROM platform_gap").fetch_all(self.store.reader()).await? {
            let (command, reason): (String, String) = (row.try_get("command")?, row.try_get("reason")?);
            let (calls, last): (i64, i64) = (row.try_get("calls")?, row.try_get("last_at")?);
            let Ok(reason) = reason.parse::<Reason>() else { continue };
            let kept = WouldBeDeniedCommand {
                command: command.clone(),
                reason,
                calls: calls.unsigned_abs(),
                last: instant(last),
            };
            told.entry(command)
                .and_modify(|it| {
                    it.calls += kept.calls;
                    it.last = it.last.max(kept.last);
                })
                .or_insert(kept);
        }
        let mut commands: Vec<_> = told.into_values().filter(|it| self.is_gap(&it.command)).collect();
        commands.sort_by_key(|it| std::cmp::Reverse(it.calls));
        Ok(WouldBeDenied { since, commands })
    }

    fn is_gap(&self, command: &str) -> bool {
        let registry = self.deciding.registry();
        let Some(index) = registry.find(command) else { return false };
        matches!(described(registry.entry(index)), Described::NoContract | Described::NoDescriptor)
            && self.deciding.policy().allowlisted(command).is_none()
    }
}

/// The counts of this process less what it has added.
fn unkept(
    counted: Vec<WouldBeDeniedCommand>,
    added: &HashMap<String, u64>,
) -> impl Iterator<Item = WouldBeDeniedCommand> {
    counted.into_iter().map(|it| {
        let kept = added.get(&it.command).copied().unwrap_or(0);
        WouldBeDeniedCommand { calls: it.calls.saturating_sub(kept), ..it }
    })
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl fmt::Debug for GapLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GapLog")
    }
}
