mod kept;
mod statements;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use store::sqlx::any::AnyRow;
use store::sqlx::{self, AnyConnection, Row as _};
use store::{Cause, Durability, Engine, Lane, Store, StoreError, Work};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use uuid::Uuid;

use self::kept::{Kept, Left, ROUND};
use super::ledger::{Account, Held, Intent, Ledger, Sum, Want, buckets, decide, latest};
use super::queue::{Batch, Queue, Turn};
use super::{
    Bucket, Charge, Exhausted, Hold, Limit, MeteredStore, QuotaError, Recorded, Reservation, Settle,
    Settlement, Usage, sync,
};
use crate::key::{Tickets, deadline};
use crate::{Answer, Projection, Window};

pub(crate) use statements::{GRANTING, MIGRATION};

/// Metered quotas in the database, shared by all processes that use it.
///
/// What the callers of one process want at the same time is done in one transaction for all of them, decided in order of
/// arrival; and what one call has held is passed on to the next that asks the same. See decision 9 for the protocol and
/// why the laws hold.
///
/// INVARIANT: holds of a bucket are made, judged and removed only under the lock of its `quota_bucket` row, whose `held`
/// is their sum. So expired holds count until somebody who needs the room removes them, a late commit either finds all
/// its holds or charges nothing, and no clock but the caller's is compared.
#[derive(Debug, Clone)]
pub struct SqlQuota {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    /// For batches that need no decisions. Whoever has the turn has both.
    durable: Mutex<Lane>,
    relaxed: Mutex<Lane>,
    tickets: Tickets,
    queue: Arc<Queue<Admission, Settling>>,
    kept: Kept,
}

/// What must be seen by all processes when it is answered, but need not survive the machine: whoever finds their hold
/// gone charges nothing.
enum Admission {
    Reserve(Reserving),
    Release(Settling),
}

struct Reserving {
    asked: Asked,
    answer: oneshot::Sender<Result<Reservation, Denied>>,
}

/// What a call asks for.
#[derive(Debug, Clone)]
struct Asked {
    holds: Arc<[Hold]>,
    expires_at: i64,
    now: i64,
}

/// A call that waits to hear whether it is admitted.
struct Asking {
    /// How often something had been given back when it asked.
    given_back: u64,
    answered: oneshot::Receiver<Result<Reservation, Denied>>,
}

struct Denied {
    error: QuotaError,
    /// Where there was too little room, if that was it.
    lacking: Option<Lacking>,
}

struct Lacking {
    bucket: Arc<str>,
    /// Whether other processes hold units of it.
    held_elsewhere: bool,
}

struct Settling {
    share: Share,
    answer: oneshot::Sender<Result<(), QuotaError>>,
}

/// One reservation, as a part of what its group holds.
#[derive(Debug, Clone)]
struct Share {
    group: Arc<str>,
    holds: Arc<[Hold]>,
    /// A full second.
    expires_at: i64,
}

/// The share of a running call.
struct Running {
    shared: Arc<Shared>,
    share: Share,
}

impl SqlQuota {
    /// Uses the tables of [`MIGRATIONS`](crate::MIGRATIONS). No two running processes may have the same `node`; make it
    /// at start-up.
    pub fn new(store: Store, node: Uuid) -> Self {
        let lane = |durability| Mutex::new(store.lane(durability, statements::BY_INDEX));
        let (durable, relaxed) = (lane(Durability::Full), lane(Durability::Relaxed));
        let (tickets, queue) = (Tickets::new(node), Arc::new(Queue::new()));
        Self { shared: Arc::new(Shared { store, durable, relaxed, tickets, queue, kept: Kept::default() }) }
    }

    /// Gives back what is held for next calls, as a process should that ends: else it expires.
    pub async fn give_back(&self) {
        self.shared.give_back(None).await;
    }

    /// Removes every reservation that is expired, and tells how many buckets held some. Whoever needs their units looks
    /// after itself; this is for buckets nobody asks about again, from time to time.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<u64, QuotaError> {
        let store = &self.shared.store;
        let now = now.as_microsecond();
        let stale = sqlx::query(statements::STALE).bind(now).fetch_all(store.reader()).await?;
        let stale = stale.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
        if stale.is_empty() {
            return Ok(0);
        }
        let mut work = store.begin_relaxed().await?;
        let rows = items(&stale.iter().map(|key| (key,)).collect::<Vec<_>>());
        let mut ledger = Ledger::default();
        load_accounts(store.engine(), &mut work, &mut ledger, &rows).await?;
        load_expired(store.engine(), &mut work, &mut ledger, &rows, now).await?;
        ledger.expire_all(now);
        write(store.engine(), &mut work, &ledger).await?;
        work.commit(Cause::Upkeep).await?;
        Ok(stale.len() as u64)
    }
}

impl MeteredStore for SqlQuota {
    fn reserve<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        ttl: Duration,
        now: Timestamp,
    ) -> Answer<'a, Result<Reservation, QuotaError>> {
        let asked = Asked {
            holds: Hold::all(charges).into(),
            expires_at: deadline(now, ttl),
            now: now.as_microsecond(),
        };
        let shared = Arc::clone(&self.shared);
        if let Some(share) = shared.kept.take(&asked.holds, asked.expires_at) {
            return Answer::now(Ok(Running::reservation(&shared, share)));
        }
        let asking = shared.ask(&asked);
        Answer::later(async move { shared.insist(asked, asking).await })
    }

    fn projection<'a>(
        &'a self,
        tenant: Option<&'a str>,
        limits: &'a [Limit<'a>],
        now: Timestamp,
    ) -> Answer<'a, Result<Vec<Projection>, QuotaError>> {
        Answer::later(async move {
            self.shared.give_back(None).await;
            let store = &self.shared.store;
            let mut projections = Vec::with_capacity(limits.len());
            for &limit in limits {
                let row = sqlx::query(statements::USAGE_OF_ONE)
                    .bind(Bucket::key(tenant, limit.quota, limit.window))
                    .bind(now.as_microsecond())
                    .fetch_optional(store.reader())
                    .await?;
                let usage = row.as_ref().map(|row| usage(row, 0)).transpose()?.unwrap_or_default();
                projections.push(Projection::metered(limit, usage, now));
            }
            Ok(projections)
        })
    }

    fn usage(&self, now: Timestamp) -> Answer<'_, Result<Vec<Recorded>, QuotaError>> {
        Answer::later(async move {
            self.shared.give_back(None).await;
            let rows = sqlx::query(statements::USAGE_OF_ALL)
                .bind(now.as_microsecond())
                .fetch_all(self.shared.store.reader())
                .await?;
            rows.iter().map(recorded).collect()
        })
    }
}

impl Running {
    fn reservation(shared: &Arc<Shared>, share: Share) -> Reservation {
        Reservation::new(Arc::new(Self { shared: Arc::clone(shared), share }), 0)
    }
}

impl Settle for Running {
    fn settle(self: Arc<Self>, _: u64, settlement: Settlement) -> Answer<'static, Result<(), QuotaError>> {
        let answered = self.shared.settle(self.share.clone(), settlement);
        Answer::later(async move { answered.await.unwrap_or(Err(QuotaError::Silent)) })
    }
}

impl Shared {
    /// Without a runtime, what was handed in waits for the next caller who has one.
    fn carry_out(self: &Arc<Self>, turn: Option<Turn<Admission, Settling>>) {
        let Some(mut turn) = turn else { return };
        let Ok(runtime) = Handle::try_current() else { return turn.pass() };
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            while let Some(batch) = turn.next() {
                match batch {
                    Batch::Admissions(admissions) => shared.admit(admissions).await,
                    Batch::Charges(charges) => shared.charge(charges).await,
                }
                // Callers who have just been answered hand in what they want next, so that it shares a batch.
                tokio::task::yield_now().await;
            }
        });
    }

    fn ask(self: &Arc<Self>, asked: &Asked) -> Asking {
        let given_back = self.kept.given_back();
        let (answer, answered) = oneshot::channel();
        let reserving = Reserving { asked: asked.clone(), answer };
        self.carry_out(self.queue.admit(Admission::Reserve(reserving)));
        Asking { given_back, answered }
    }

    /// Asks again where there is too little room for a call, as long as that may be for what is kept for others: in this
    /// process, or in others, which give it back after a while unless a call has come for it.
    async fn insist(self: Arc<Self>, asked: Asked, mut asking: Asking) -> Result<Reservation, QuotaError> {
        /// Together longer than anything is kept.
        const ROUNDS: u32 = 8;
        let mut rounds = 0;
        loop {
            let Denied { error, lacking } = match asking.answered.await {
                Ok(Ok(reservation)) => return Ok(reservation),
                Ok(Err(denied)) => denied,
                Err(_) => return Err(QuotaError::Silent),
            };
            let Some(Lacking { bucket, held_elsewhere }) = lacking else { return Err(error) };
            self.give_back(Some(&bucket)).await;
            if self.kept.given_back() == asking.given_back {
                if !held_elsewhere || rounds == ROUNDS {
                    return Err(error);
                }
                rounds += 1;
                tokio::time::sleep(ROUND).await;
            }
            asking = self.ask(&asked);
        }
    }

    fn settle(
        self: &Arc<Self>,
        share: Share,
        settlement: Settlement,
    ) -> oneshot::Receiver<Result<(), QuotaError>> {
        let (answer, answered) = oneshot::channel();
        let settling = Settling { share, answer };
        self.carry_out(match settlement {
            Settlement::Commit => self.queue.charge(settling),
            Settlement::Release => self.queue.admit(Admission::Release(settling)),
        });
        answered
    }

    /// Gives back what is kept of a bucket, or all.
    async fn give_back(self: &Arc<Self>, bucket: Option<&str>) {
        for answered in self.kept.recall(bucket, |share| self.settle(share, Settlement::Release)) {
            // What fails expires.
            drop(answered.await);
        }
    }

    /// Gives back what is kept and nobody came for, until nothing is kept.
    async fn tend(self: Arc<Self>) {
        let release = |share| drop(self.settle(share, Settlement::Release));
        loop {
            tokio::time::sleep(ROUND).await;
            if !self.kept.release_overdue(release) {
                return;
            }
        }
    }

    async fn admit(self: &Arc<Self>, mut admissions: Vec<Admission>) {
        // Who does not wait any more is not admitted. Releases are carried out whether or not anybody waits.
        admissions.retain(|admission| match admission {
            Admission::Reserve(reserving) => !reserving.answer.is_closed(),
            Admission::Release(_) => true,
        });
        let batch = self.tickets.next();
        let intents: Vec<_> = admissions.iter().map(|admission| admission.intent(&batch)).collect();
        let outcome = self.in_time(self.apply(Durability::Relaxed, &intents)).await;
        let Decided { verdicts, held_elsewhere } = Decided::unless_failed(outcome, intents.len());
        let groups: Vec<_> = intents.into_iter().map(|intent| intent.group).collect();
        for ((admission, group), verdict) in admissions.into_iter().zip(groups).zip(verdicts) {
            match admission {
                Admission::Release(settling) => drop(settling.answer.send(verdict)),
                Admission::Reserve(Reserving { asked: Asked { holds, expires_at, .. }, answer }) => {
                    let answered = match verdict {
                        Ok(()) => {
                            let share = Share { group, holds, expires_at: full_second(expires_at) };
                            Ok(Running::reservation(self, share))
                        }
                        Err(error) => {
                            let lacking = lacking(&holds, &error).map(|bucket| Lacking {
                                held_elsewhere: held_elsewhere.contains(&*bucket),
                                bucket,
                            });
                            Err(Denied { error, lacking })
                        }
                    };
                    // A reservation that finds its caller gone is dropped, and with that released.
                    drop(answer.send(answered));
                }
            }
        }
    }

    async fn charge(self: &Arc<Self>, charges: Vec<Settling>) {
        let wanted = self.kept.wanted(charges.iter().map(|charge| &charge.share));
        let (verdicts, left) = match self.spend(&charges, &wanted).await {
            Ok(true) => (vec![Ok(()); charges.len()], Left::Held),
            Ok(false) => {
                let intents: Vec<_> =
                    charges.iter().map(|charge| charge.intent(Settlement::Commit)).collect();
                let outcome = self.in_time(self.apply(Durability::Full, &intents)).await;
                (Decided::unless_failed(outcome, charges.len()).verdicts, Left::NoRoom)
            }
            Err(error) => (vec![Err(error); charges.len()], Left::Nothing),
        };
        let done = charges.iter().zip(&wanted).zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        let tend =
            self.kept.charged(done.map(|((charge, &wanted), _)| {
                (charge.share.clone(), if wanted { left } else { Left::Nothing })
            }));
        if tend {
            tokio::spawn(Arc::clone(self).tend());
        }
        for (charge, verdict) in charges.into_iter().zip(verdicts) {
            drop(charge.answer.send(verdict));
        }
    }

    /// Charges a batch as a whole, if there is room for other units than those held by the `wanted` shares, which stay
    /// held. Nothing is done if there is not, or if none is wanted.
    async fn spend(&self, charges: &[Settling], wanted: &[bool]) -> Result<bool, QuotaError> {
        if !wanted.contains(&true) {
            return Ok(false);
        }
        // Reserved and charged at once, so this group is never seen.
        let group: Arc<str> = "".into();
        let intents: Vec<_> = charges
            .iter()
            .zip(wanted)
            .flat_map(|(charge, wanted)| {
                let Share { holds, expires_at, .. } = &charge.share;
                let fresh = |want| Intent { group: Arc::clone(&group), holds, want };
                let reserve = fresh(Want::Reserve { expires_at: *expires_at, now: *expires_at });
                if *wanted {
                    vec![reserve, fresh(Want::Settle(Settlement::Commit))]
                } else {
                    vec![charge.intent(Settlement::Commit)]
                }
            })
            .collect();
        self.in_time(self.apply_all_or_none(Durability::Full, &intents)).await
    }

    /// A database that hangs must not hang everybody behind this batch.
    async fn in_time<T>(
        &self,
        applying: impl Future<Output = Result<T, QuotaError>>,
    ) -> Result<T, QuotaError> {
        /// Longer than waiting for a connection may take.
        const PATIENCE: Duration = Duration::from_secs(20);
        tokio::time::timeout(PATIENCE, applying).await.unwrap_or(Err(QuotaError::Silent))
    }

    async fn apply(&self, durability: Durability, intents: &[Intent<'_>]) -> Result<Decided, QuotaError> {
        if intents.is_empty() || self.apply_all_or_none(durability, intents).await? {
            return Ok(Decided { verdicts: vec![Ok(()); intents.len()], held_elsewhere: HashSet::new() });
        }
        self.apply_each(durability, intents).await
    }

    /// Grants every intent in one statement, or, if that takes more than a sum, none.
    async fn apply_all_or_none(
        &self,
        durability: Durability,
        intents: &[Intent<'_>],
    ) -> Result<bool, QuotaError> {
        let sum = Sum::of(intents);
        let granting = sqlx::query(statements::GRANT_ALL.on(self.store.engine()))
            .bind(items(&sum.accounts().collect::<Vec<_>>()))
            .bind(items(&sum.holds().collect::<Vec<_>>()));
        let lane = match durability {
            Durability::Full => &self.durable,
            Durability::Relaxed => &self.relaxed,
        };
        let answered = lane.lock().await.fetch_all(granting).await;
        match (self.store.engine(), answered) {
            (Engine::Postgres, Ok(rows)) => rows.iter().try_fold(false, |_, row| Ok(row.try_get(0)?)),
            (Engine::Sqlite, Ok(_)) => Ok(true),
            (Engine::Sqlite, Err(error)) if is_refusal(&error) => Ok(false),
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Grants and refuses one intent after the other, all in one transaction.
    async fn apply_each(
        &self,
        durability: Durability,
        intents: &[Intent<'_>],
    ) -> Result<Decided, QuotaError> {
        let engine = self.store.engine();
        let mut work = self.begin(durability).await?;
        let mut ledger = Ledger::default();
        let of = buckets(intents.iter().flat_map(|intent| intent.holds));
        let rows = items(&of.iter().map(|key| (key,)).collect::<Vec<_>>());
        load_accounts(engine, &mut work, &mut ledger, &rows).await?;
        if of.iter().any(|key| !ledger.knows(key)) {
            // Rows are made outside, so that inside they are locked in one order.
            drop(work);
            self.make_buckets(&ledger, intents).await?;
            work = self.begin(durability).await?;
            load_accounts(engine, &mut work, &mut ledger, &rows).await?;
            // Gone again, with a database that died: what they hold would be counted nowhere.
            if of.iter().any(|key| !ledger.knows(key)) {
                return Err(sqlx::Error::RowNotFound.into());
            }
        }
        let settled: Vec<_> = intents
            .iter()
            .filter(|intent| matches!(intent.want, Want::Settle(_)))
            .flat_map(|intent| intent.holds.iter().map(|hold| (&*intent.group, &*hold.bucket.key)))
            .collect();
        if !settled.is_empty() {
            load_holds(engine, &mut work, &mut ledger, &items(&settled)).await?;
        }
        let (mut after, mut verdicts) = decide(&ledger, intents);
        if let Some(latest) = latest(intents, &verdicts) {
            load_expired(engine, &mut work, &mut ledger, &rows, latest).await?;
            (after, verdicts) = decide(&ledger, intents);
        }
        let held_elsewhere = self.held_elsewhere(&mut work, intents, &verdicts).await?;
        write(engine, &mut work, &after).await?;
        work.commit(Cause::Upkeep).await?;
        Ok(Decided { verdicts, held_elsewhere })
    }

    /// Of which buckets that have no room other processes hold units, while nobody else can change that.
    async fn held_elsewhere(
        &self,
        connection: &mut AnyConnection,
        intents: &[Intent<'_>],
        verdicts: &[Result<(), QuotaError>],
    ) -> Result<HashSet<String>, QuotaError> {
        let denied = intents
            .iter()
            .zip(verdicts)
            .filter_map(|(intent, verdict)| lacking(intent.holds, verdict.as_ref().err()?));
        let denied: BTreeSet<_> = denied.collect();
        if denied.is_empty() {
            return Ok(HashSet::new());
        }
        let held = sqlx::query_scalar(statements::HELD_ELSEWHERE.on(self.store.engine()))
            .bind(items(&denied.iter().map(|bucket| (&**bucket,)).collect::<Vec<_>>()))
            .bind(self.tickets.node())
            .fetch_all(connection);
        Ok(held.await?.into_iter().collect())
    }

    async fn begin(&self, durability: Durability) -> Result<Work, StoreError> {
        match durability {
            Durability::Full => self.store.begin().await,
            Durability::Relaxed => self.store.begin_relaxed().await,
        }
    }

    async fn make_buckets(&self, known: &Ledger, intents: &[Intent<'_>]) -> Result<(), QuotaError> {
        let mut rows: Vec<_> = intents
            .iter()
            .flat_map(|intent| intent.holds)
            .map(|hold| &hold.bucket)
            .filter(|bucket| !known.knows(&bucket.key))
            .map(|bucket| {
                let Window { start, end } = bucket.window;
                (
                    &*bucket.key,
                    bucket.scope().to_string(),
                    // As JSON, because PostgreSQL keeps no NUL.
                    items(&bucket.tenant),
                    &bucket.quota,
                    start.as_microsecond(),
                    end.as_microsecond(),
                )
            })
            .collect();
        // One order for all processes: none waits for a row of another that waits for one of its own.
        rows.sort_unstable();
        rows.dedup_by_key(|row| row.0);
        let mut work = self.store.begin_relaxed().await?;
        sqlx::query(statements::MAKE_BUCKETS.on(self.store.engine()))
            .bind(items(&rows))
            .execute(&mut *work)
            .await?;
        Ok(work.commit(Cause::Upkeep).await?)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Admission {
    fn intent(&self, batch: &str) -> Intent<'_> {
        match self {
            // Reservations of one batch that expire within the same second are one group: a row for each bucket.
            Self::Reserve(Reserving { asked: Asked { holds, expires_at, now }, .. }) => {
                let expires_at = full_second(*expires_at);
                Intent {
                    group: format!("{batch}-{expires_at}").into(),
                    holds,
                    want: Want::Reserve { expires_at, now: *now },
                }
            }
            Self::Release(settling) => settling.intent(Settlement::Release),
        }
    }
}

impl Settling {
    fn intent(&self, settlement: Settlement) -> Intent<'_> {
        let Share { group, holds, .. } = &self.share;
        Intent { group: Arc::clone(group), holds, want: Want::Settle(settlement) }
    }
}

/// What became of the intents of a batch.
struct Decided {
    verdicts: Vec<Result<(), QuotaError>>,
    /// Buckets without room of which other processes held units then.
    held_elsewhere: HashSet<String>,
}

impl Decided {
    /// Where the batch has failed, everybody is denied.
    fn unless_failed(outcome: Result<Self, QuotaError>, intents: usize) -> Self {
        let failed = |error| Self { verdicts: vec![Err(error); intents], held_elsewhere: HashSet::new() };
        outcome.unwrap_or_else(failed)
    }
}

/// The bucket that has no room.
fn lacking(holds: &[Hold], error: &QuotaError) -> Option<Arc<str>> {
    let QuotaError::Exhausted(exhausted) = error else { return None };
    let Exhausted { quota, scope, resets_at, .. } = &**exhausted;
    let named =
        |bucket: &Bucket| (&bucket.quota, bucket.scope(), bucket.window.end) == (quota, *scope, *resets_at);
    holds.iter().map(|hold| &hold.bucket).find(|bucket| named(bucket)).map(|bucket| Arc::clone(&bucket.key))
}

/// The first full second that is not before an instant, both in microseconds.
const fn full_second(instant: i64) -> i64 {
    instant.saturating_add(999_999).div_euclid(1_000_000).saturating_mul(1_000_000)
}

/// Locks the rows until the work ends.
async fn load_accounts(
    engine: Engine,
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    items: &str,
) -> Result<(), QuotaError> {
    let rows = sqlx::query(statements::LOCK_BUCKETS.on(engine)).bind(items).fetch_all(connection).await?;
    for row in rows {
        let Usage { used, reserved: held } = usage(&row, 1)?;
        ledger.load_account(row.try_get::<String, _>(0)?.into(), Account { used, held });
    }
    Ok(())
}

async fn load_holds(
    engine: Engine,
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    items: &str,
) -> Result<(), QuotaError> {
    let rows = sqlx::query(statements::HOLDS.on(engine)).bind(items).fetch_all(connection).await?;
    rows.iter().try_for_each(|row| load_hold(ledger, row))
}

async fn load_expired(
    engine: Engine,
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    items: &str,
    now: i64,
) -> Result<(), QuotaError> {
    let expired = sqlx::query(statements::EXPIRED_HOLDS.on(engine)).bind(items).bind(now);
    expired.fetch_all(connection).await?.iter().try_for_each(|row| load_hold(ledger, row))
}

fn load_hold(ledger: &mut Ledger, row: &AnyRow) -> Result<(), QuotaError> {
    let (group, bucket) = (row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
    let held = Held { units: units(row, 2)?, expires_at: row.try_get(3)? };
    ledger.load_hold(group.into(), bucket.into(), held);
    Ok(())
}

async fn write(engine: Engine, connection: &mut AnyConnection, ledger: &Ledger) -> Result<(), QuotaError> {
    let accounts: Vec<_> = ledger.changed_accounts().map(|(key, of)| (key, of.used, of.held)).collect();
    let held: Vec<_> = ledger
        .changed_holds()
        .map(|(group, bucket, held)| (group, bucket, held.units, held.expires_at))
        .collect();
    let ended: Vec<_> = ledger.ended_holds().collect();
    for (statement, items, needed) in [
        (statements::WRITE_BUCKETS, items(&accounts), !accounts.is_empty()),
        (statements::WRITE_HOLDS, items(&held), !held.is_empty()),
        (statements::END_HOLDS, items(&ended), !ended.is_empty()),
    ] {
        if needed {
            sqlx::query(statement.on(engine)).bind(items).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Database(sqlx::Error::Database(error)) if error.message() == statements::REFUSAL)
}

/// Rows of text and numbers as the statements read them.
fn items(rows: &impl Serialize) -> String {
    serde_json::to_string(rows).expect("text and numbers are JSON")
}

fn recorded(row: &AnyRow) -> Result<Recorded, QuotaError> {
    let unreadable = |error| sqlx::Error::Decode(Box::new(error));
    let tenant: String = row.try_get(0)?;
    let instant = |column| -> Result<Timestamp, QuotaError> {
        let instant = Timestamp::from_microsecond(row.try_get(column)?);
        Ok(instant.map_err(|error| sqlx::Error::Decode(Box::new(error)))?)
    };
    Ok(Recorded {
        tenant: serde_json::from_str(&tenant).map_err(unreadable)?,
        quota: row.try_get(1)?,
        window: Window { start: instant(2)?, end: instant(3)? },
        usage: usage(row, 4)?,
    })
}

/// Used and reserved, from two columns.
fn usage(row: &AnyRow, first: usize) -> Result<Usage, sqlx::Error> {
    Ok(Usage { used: units(row, first)?, reserved: units(row, first + 1)? })
}

fn units(row: &AnyRow, column: usize) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}
