//! What is handed on to tenants: kept in the database, and put before the calls of this process.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;
use pipeline::{Deciding, Entitlements};
use sdk::{
    descriptors::grant::Grant,
    prelude::*,
    store::{
        Work,
        sqlx::{self, AnyConnection, Row, any::AnyRow, error::BoxDynError},
    },
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    Terms,
    baseline::Baseline,
    subscriptions::{Subscription, SubscriptionStatus},
};

/// The baseline and the subscriptions, as the database holds them and as calls of this process meet them. Clones share
/// their state.
///
/// A change is in force here before the command that makes it answers. Other replicas learn of it at their next
/// [`tick`](Self::tick), which also opens and closes windows of validity.
#[derive(Clone)]
pub struct HandedOn {
    store: Store,
    deciding: Arc<Deciding>,
    known: Arc<Mutex<Known>>,
}

/// What is handed on cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HandedOnError {
    /// The database failed.
    #[error("failed to reach the database")]
    Store(#[from] StoreError),
    /// A row holds what this program never writes.
    #[error("failed to read the terms of {whose}")]
    Terms {
        /// The baseline, or a tenant's subscription.
        whose: String,
        /// Why.
        #[source]
        error: BoxDynError,
    },
}

impl From<sqlx::Error> for HandedOnError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Someone else changed it meanwhile.
pub(crate) struct Conflict {
    /// The revision that is there.
    pub(crate) present: i64,
}

/// What the database is known to hold.
struct Known {
    /// The number of the latest change.
    latest: i64,
    baseline: Option<Terms>,
    /// Whether calls meet this baseline yet.
    is_new: bool,
    subscriptions: BTreeMap<TenantId, Held>,
    failing: bool,
}

struct Held {
    subscription: Subscription,
    /// What of it calls meet; absent while they meet something else.
    met: Option<Force>,
}

/// What of a subscription counts at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// All of it.
    Whole,
    /// What it denies.
    Denials,
    /// Nothing.
    Nothing,
}

impl Subscription {
    /// It grants while it is active and inside its window. What it denies stays denied when it is suspended or has run
    /// out, so that nobody gains by not paying; only cancelling it lifts that.
    pub(crate) fn force(&self, now: Timestamp) -> Force {
        let has_begun = self.not_before.is_none_or(|begin| begin <= now);
        let has_ended = self.not_after.is_some_and(|end| end <= now);
        match self.status {
            SubscriptionStatus::Cancelled => Force::Nothing,
            _ if !has_begun => Force::Nothing,
            SubscriptionStatus::Active if !has_ended => Force::Whole,
            SubscriptionStatus::Active | SubscriptionStatus::Suspended | SubscriptionStatus::Expired => {
                Force::Denials
            }
        }
    }

    fn additions(&self, force: Force) -> Option<Grant> {
        match force {
            Force::Whole => Some(self.terms.grant()),
            Force::Denials => self.terms.denials(),
            Force::Nothing => None,
        }
    }
}

impl HandedOn {
    /// Reads it from the database, and puts it before the calls of this process. Fails when it cannot be read: nobody may
    /// be served more than is handed on.
    pub async fn start(store: Store, deciding: Arc<Deciding>, now: Timestamp) -> Result<Self, HandedOnError> {
        let mut known = Known::nothing();
        let mut connection = store.reader().acquire().await?;
        let changes = Changes::since(&mut connection, known.latest).await?;
        drop(connection);
        known.take(changes);
        known.put_before(&deciding, now);
        Ok(Self { store, deciding, known: Arc::new(Mutex::new(known)) })
    }

    /// What a server over this database would hand on at this instant. Changes nothing.
    pub async fn read(store: &Store, now: Timestamp) -> Result<Entitlements, HandedOnError> {
        let mut known = Known::nothing();
        known.take(Changes::since(&mut *store.reader().acquire().await?, 0).await?);
        Ok(known.entitlements(now))
    }

    /// Looks after everything that may have changed: the license, the database, and the clock. Cheap when nothing has:
    /// one row is read. Where the database does not answer, the last that was known stays in force.
    pub async fn tick(&self, now: Timestamp) {
        let mut known = Arc::clone(&self.known).lock_owned().await;
        match self.changes(known.latest).await {
            Ok(changes) => {
                if std::mem::take(&mut known.failing) {
                    tracing::info!("what is handed on to tenants can be read again");
                }
                if let Some(changes) = changes {
                    known.take(changes);
                }
            }
            // Told once, and not once a second.
            Err(error) if !known.failing => {
                known.failing = true;
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "failed to read what is handed on to tenants; the last known stays in force"
                );
            }
            Err(_) => {}
        }
        self.put_before(known, now).await;
    }

    async fn changes(&self, known: i64) -> Result<Option<Changes>, HandedOnError> {
        let latest = latest(&mut *self.store.reader().acquire().await?).await?;
        if latest == known {
            return Ok(None);
        }
        // A number that fell is that of a database which was put back to what it was.
        let since = if latest < known { 0 } else { known };
        Ok(Some(Changes::since(&mut *self.store.reader().acquire().await?, since).await?))
    }

    /// The baseline, as the database holds it.
    pub(crate) async fn baseline(&self) -> Result<Baseline, HandedOnError> {
        baseline(&mut *self.store.reader().acquire().await?).await
    }

    /// A tenant's subscription, as the database holds it.
    pub(crate) async fn subscription(&self, tenant: TenantId) -> Result<Option<Subscription>, HandedOnError> {
        let mut connection = self.store.reader().acquire().await?;
        let row = sqlx::query("SELECT * FROM platform_subscription WHERE tenant = $1")
            .bind(tenant.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        row.as_ref().map(subscription).transpose()
    }

    /// Some subscriptions, in the order of their tenants' ids.
    pub(crate) async fn subscriptions(
        &self,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, HandedOnError> {
        let mut connection = self.store.reader().acquire().await?;
        let rows =
            sqlx::query("SELECT * FROM platform_subscription WHERE tenant > $1 ORDER BY tenant LIMIT $2")
                .bind(after.map_or_else(String::new, |tenant| tenant.to_string()))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&mut *connection)
                .await?;
        rows.iter().map(subscription).collect()
    }

    /// Changes the baseline that was seen as `seen`.
    pub(crate) async fn set_baseline(
        &self,
        seen: i64,
        terms: Option<&Terms>,
        cx: &Cx,
    ) -> Result<Result<Baseline, Conflict>, HandedOnError> {
        let known = Arc::clone(&self.known).lock_owned().await;
        let mut work = self.store.begin().await?;
        let revision = rise(&mut work).await?;
        let present = baseline(&mut work).await?.revision;
        if present != seen {
            return Ok(Err(Conflict { present }));
        }
        sqlx::query(
            "UPDATE platform_baseline SET revision = $1, terms = $2, changed_at = $3, changed_by = $4",
        )
        .bind(revision)
        .bind(terms.map(written))
        .bind(cx.now().as_microsecond())
        .bind(cx.principal().actor())
        .execute(&mut *work)
        .await?;
        let baseline = baseline(&mut work).await?;
        self.commit(work, known, cx).await?;
        Ok(Ok(baseline))
    }

    /// Writes a subscription over the one that was seen as the revision it carries; 0 stands for none.
    pub(crate) async fn set_subscription(
        &self,
        wanted: Subscription,
        cx: &Cx,
    ) -> Result<Result<Subscription, Conflict>, HandedOnError> {
        let known = Arc::clone(&self.known).lock_owned().await;
        let mut work = self.store.begin().await?;
        let revision = rise(&mut work).await?;
        let tenant = wanted.tenant_id.to_string();
        let present = sqlx::query_scalar("SELECT revision FROM platform_subscription WHERE tenant = $1")
            .bind(&tenant)
            .fetch_optional(&mut *work)
            .await?
            .unwrap_or(0);
        if present != wanted.revision {
            return Ok(Err(Conflict { present }));
        }
        sqlx::query(
            "INSERT INTO platform_subscription
                 (tenant, revision, status, not_before, not_after, terms, changed_at, changed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision, status = excluded.status,
                 not_before = excluded.not_before, not_after = excluded.not_after, terms = excluded.terms,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        )
        .bind(&tenant)
        .bind(revision)
        .bind(wanted.status.as_str())
        .bind(wanted.not_before.map(Timestamp::as_microsecond))
        .bind(wanted.not_after.map(Timestamp::as_microsecond))
        .bind(written(&wanted.terms))
        .bind(wanted.changed_at.as_microsecond())
        .bind(&wanted.changed_by)
        .execute(&mut *work)
        .await?;
        self.commit(work, known, cx).await?;
        Ok(Ok(Subscription { revision, ..wanted }))
    }

    /// What others have changed is read in the same unit of work, so nothing can fail once it is committed.
    async fn commit(
        &self,
        mut work: Work,
        mut known: OwnedMutexGuard<Known>,
        cx: &Cx,
    ) -> Result<(), HandedOnError> {
        let changes = Changes::since(&mut work, known.latest).await?;
        work.commit(cx).await?;
        known.take(changes);
        self.put_before(known, cx.now()).await;
        Ok(())
    }

    /// On a thread where compiling keeps nobody waiting. It holds what is known until it is done, also when the caller is
    /// gone by then, so that an older state is never put over a later one.
    async fn put_before(&self, mut known: OwnedMutexGuard<Known>, now: Timestamp) {
        let deciding = Arc::clone(&self.deciding);
        let put = tokio::task::spawn_blocking(move || {
            deciding.publish();
            known.put_before(&deciding, now);
        });
        if let Err(failed) = put.await
            && failed.is_panic()
        {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

/// Beyond so many changes at once, compiling everything anew is less work.
const FEW: usize = 8;

impl Known {
    const fn nothing() -> Self {
        Self { latest: 0, baseline: None, is_new: true, subscriptions: BTreeMap::new(), failing: false }
    }

    fn take(&mut self, changes: Changes) {
        let Changes { since, latest, baseline, subscriptions } = changes;
        if since < self.latest {
            *self = Self { failing: self.failing, ..Self::nothing() };
        }
        self.latest = latest;
        if let Some(baseline) = baseline {
            self.is_new |= baseline.terms != self.baseline;
            self.baseline = baseline.terms;
        }
        let held = subscriptions
            .into_iter()
            .map(|subscription| (subscription.tenant_id, Held { subscription, met: None }));
        self.subscriptions.extend(held);
    }

    /// Lets calls meet what is in force now.
    fn put_before(&mut self, deciding: &Deciding, now: Timestamp) {
        let stale: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|(_, held)| held.met != Some(held.subscription.force(now)))
            .map(|(tenant, _)| *tenant)
            .collect();
        if self.is_new || stale.len() > FEW {
            deciding.hand_on(self.entitlements(now));
        } else {
            for tenant in &stale {
                let subscription = &self.subscriptions[tenant].subscription;
                deciding.subscribe(*tenant, subscription.additions(subscription.force(now)));
            }
        }
        self.is_new = false;
        for tenant in stale {
            if let Some(held) = self.subscriptions.get_mut(&tenant) {
                held.met = Some(held.subscription.force(now));
            }
        }
    }

    fn entitlements(&self, now: Timestamp) -> Entitlements {
        let handed = match &self.baseline {
            None => Entitlements::whole_ceiling(),
            Some(terms) => Entitlements::baseline(terms.grant()),
        };
        self.subscriptions.values().fold(handed, |handed, Held { subscription, .. }| {
            let additions = subscription.additions(subscription.force(now)).map(Arc::new);
            handed.with(subscription.tenant_id, additions)
        })
    }
}

/// What was changed after a change that is known.
struct Changes {
    since: i64,
    latest: i64,
    baseline: Option<Baseline>,
    subscriptions: Vec<Subscription>,
}

impl Changes {
    /// Whoever changes something holds the number's row until it is committed, so what is there of a number and below it
    /// is all there is.
    async fn since(connection: &mut AnyConnection, since: i64) -> Result<Self, HandedOnError> {
        let latest = latest(connection).await?;
        let baseline = baseline(connection).await?;
        let rows = sqlx::query("SELECT * FROM platform_subscription WHERE revision > $1")
            .bind(since)
            .fetch_all(&mut *connection)
            .await?;
        let subscriptions = rows.iter().map(subscription).collect::<Result<_, _>>()?;
        let is_changed = since == 0 || baseline.revision > since;
        Ok(Self { since, latest, baseline: is_changed.then_some(baseline), subscriptions })
    }
}

async fn latest(connection: &mut AnyConnection) -> Result<i64, HandedOnError> {
    let latest = sqlx::query_scalar("SELECT latest FROM platform_entitlement_revision");
    Ok(latest.fetch_one(connection).await?)
}

/// The number of the change that this unit of work makes. Others that change something wait for its end.
async fn rise(work: &mut Work) -> Result<i64, HandedOnError> {
    let risen =
        sqlx::query_scalar("UPDATE platform_entitlement_revision SET latest = latest + 1 RETURNING latest");
    Ok(risen.fetch_one(&mut **work).await?)
}

async fn baseline(connection: &mut AnyConnection) -> Result<Baseline, HandedOnError> {
    let row = sqlx::query("SELECT * FROM platform_baseline").fetch_one(connection).await?;
    let terms = row.try_get::<Option<String>, _>("terms")?;
    let terms = terms.map(|text| read_terms(&text, || "the baseline".to_owned())).transpose()?;
    Ok(Baseline {
        revision: row.try_get("revision")?,
        terms,
        changed_at: row.try_get::<Option<i64>, _>("changed_at")?.map(instant).transpose()?,
        changed_by: row.try_get("changed_by")?,
    })
}

fn subscription(row: &AnyRow) -> Result<Subscription, HandedOnError> {
    let tenant: String = row.try_get("tenant")?;
    let edge = |column| -> Result<_, sqlx::Error> {
        row.try_get::<Option<i64>, _>(column)?.map(instant).transpose()
    };
    let status: String = row.try_get("status")?;
    Ok(Subscription {
        tenant_id: tenant.parse().map(TenantId).map_err(decode)?,
        revision: row.try_get("revision")?,
        status: SubscriptionStatus::parse(&status)
            .ok_or_else(|| decode(format!("`{status}` is no status of a subscription")))?,
        not_before: edge("not_before")?,
        not_after: edge("not_after")?,
        terms: read_terms(row.try_get::<&str, _>("terms")?, || {
            format!("the subscription of tenant `{tenant}`")
        })?,
        changed_at: instant(row.try_get("changed_at")?)?,
        changed_by: row.try_get("changed_by")?,
    })
}

fn written(terms: &Terms) -> String {
    serde_json::to_string(terms).expect("texts, numbers and lists are JSON")
}

fn read_terms(text: &str, whose: impl Fn() -> String) -> Result<Terms, HandedOnError> {
    serde_json::from_str(text).map_err(|error| HandedOnError::Terms { whose: whose(), error: error.into() })
}

fn instant(micros: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(micros).map_err(decode)
}

fn decode(error: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

impl fmt::Debug for HandedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedOn")
    }
}
