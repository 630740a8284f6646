use std::{num::NonZeroU64, sync::Arc, time::Duration};

use descriptors::{
    catalog::ConsumeOn,
    denial::Reason,
    descriptor::{Quota, QuotaKind},
};
use futures_util::future::Either;
use jiff::Timestamp;
use kernel::{Category, Dispatch, Fault, Input, Invocation, Problem};
use license::Snapshot;
use quota::{
    CardinalityStore, Charge, MeteredStore, Period, Place, QuotaError, Reservation, Settlement, Subject,
    TenantShare,
};
use resolver::Question;

use super::Answer;
use crate::{
    calls::{Counted, Fresh, Funded},
    deciding::Deciding,
    refusal,
    world::World,
};

/// Reserves from tenant and platform together before the command runs, and settles after it: success commits, and
/// failure, panic, timeout and cancellation release (semantics 5.2).
pub(crate) struct Fund<S> {
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) quotas: Arc<dyn MeteredStore>,
    pub(crate) cardinality: Arc<dyn CardinalityStore>,
    /// How long a reservation outlives the deadline of its call.
    pub(crate) margin: Duration,
    pub(crate) inner: S,
}

impl<S: Dispatch<Funded>> Dispatch<Fresh> for Fund<S> {
    fn dispatch(&self, Fresh(call): Fresh) -> impl Future<Output = Answer> + Send {
        match call.counted {
            None => Either::Left(self.inner.dispatch(Funded(call.invocation))),
            Some(counted) => Either::Right(self.funded(call.invocation, counted)),
        }
    }
}

impl<S: Dispatch<Funded>> Fund<S> {
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice while it runs")]
    fn funded(&self, invocation: Invocation, counted: Counted) -> impl Future<Output = Answer> + Send {
        // What it takes to reserve is in a box, because every call has room for as much as the largest gate needs.
        async move {
            let funds = match Box::pin(self.reserve(&invocation, &counted)).await {
                Ok(funds) => funds,
                Err(unfunded) => return Err(self.deny(&invocation, &counted.world, unfunded)),
            };
            let answer = self.inner.dispatch(Funded(invocation)).await;
            let settlement = if answer.is_ok() { Settlement::Commit } else { Settlement::Release };
            match (funds.settle(settlement).await, answer) {
                (Err(error), Ok(_)) => Err(Fault::Internal(Box::new(Uncharged(error)))),
                (Err(error), fault) => {
                    // It expires by itself.
                    tracing::warn!(%error, "failed to release a reservation");
                    fault
                }
                (Ok(()), answer) => answer,
            }
        }
    }
}

/// The handler has run, but its charge could not be made, so its success is not acknowledged (semantics 5.4 d).
#[derive(Debug, thiserror::Error)]
#[error("failed to charge the call")]
struct Uncharged(#[source] QuotaError);

impl Problem for Uncharged {
    fn code(&self) -> &'static str {
        "charge_failed"
    }

    fn category(&self) -> Category {
        Category::Internal
    }
}

/// Why a call could not be funded.
struct Unfunded {
    because: String,
    resets_at: Option<Timestamp>,
}

impl Unfunded {
    fn new(because: impl Into<String>) -> Self {
        Self { because: because.into(), resets_at: None }
    }

    /// Waiting helps only where the window as a whole could fund the call.
    fn by(error: &QuotaError, weight: Option<NonZeroU64>) -> Self {
        let resets_at = match error {
            QuotaError::Exhausted(exhausted) => {
                let fits = weight.is_some_and(|units| units.get() <= exhausted.limit);
                fits.then_some(exhausted.resets_at)
            }
            QuotaError::Full(_) => None,
            error => {
                tracing::error!(error = error as &dyn std::error::Error, "failed to reserve quota");
                None
            }
        };
        Self { because: error.to_string(), resets_at }
    }
}

/// One quota of the command, with its limits.
struct Due {
    quota: Quota<'static>,
    counted: By,
    tenant_limit: u64,
    platform_limit: u64,
}

/// How a quota is counted.
#[derive(Clone, Copy)]
enum By {
    /// By units, charged for this, within this window.
    Units(ConsumeOn, quota::Window),
    /// By what lives.
    Things,
}

impl Due {
    fn charge<'a>(&self, weight: NonZeroU64, window: quota::Window, tenant: Option<&'a str>) -> Charge<'a> {
        Charge {
            quota: self.quota.key.as_str(),
            units: weight,
            window,
            platform_limit: self.platform_limit,
            tenant: tenant.map(|id| TenantShare { id, limit: self.tenant_limit }),
        }
    }

    fn place<'a>(&self, tenant: Option<&'a str>) -> Place<'a> {
        Place {
            quota: self.quota.key.as_str(),
            platform_limit: self.platform_limit,
            tenant: tenant.map(|id| TenantShare { id, limit: self.tenant_limit }),
        }
    }
}

/// What a call holds while it runs. Dropped, all of it is released.
#[must_use]
struct Funds {
    units: Option<Reservation>,
    places: Option<Reservation>,
}

impl Funds {
    /// Charges or gives back all of it. Under way at once: a caller that goes away now does not undo the charge for what
    /// has been done.
    async fn settle(self, settlement: Settlement) -> Result<(), QuotaError> {
        let settle = |held: Reservation| match settlement {
            Settlement::Commit => held.commit(),
            Settlement::Release => held.release(),
        };
        let (units, places) = (self.units.map(settle), self.places.map(settle));
        if let Some(settled) = units {
            settled.await?;
        }
        if let Some(settled) = places {
            settled.await?;
        }
        Ok(())
    }
}

impl<S> Fund<S> {
    /// Reserves every quota of the command, or none. What is consumed by the attempt is charged here and now, once all is
    /// reserved; what is left to settle by the outcome is returned.
    async fn reserve(
        &self,
        invocation: &Invocation,
        Counted { descriptor, world }: &Counted,
    ) -> Result<Funds, Unfunded> {
        let cx = &invocation.cx;
        let now = cx.now();
        let question = self.deciding.question(invocation.command, cx.tenant(), world);
        let dues = descriptor
            .quotas()
            .iter()
            .map(|quota| self.due(*quota, &question, &world.snapshot, now))
            .collect::<Result<Vec<_>, _>>()?;
        let weight = descriptor.cost().units().map(NonZeroU64::from);
        // A call for no tenant counts against the platform alone.
        let tenant = cx.tenant().map(|tenant| tenant.to_string());
        let tenant = tenant.as_deref();
        let charges = |on| -> Vec<Charge<'_>> {
            let charged = dues.iter().filter_map(|due| match (due.counted, weight) {
                (By::Units(consume_on, window), Some(weight)) if consume_on == on => {
                    Some(due.charge(weight, window, tenant))
                }
                _ => None,
            });
            charged.collect()
        };
        let things = dues.iter().filter(|due| matches!(due.counted, By::Things));
        let places: Vec<_> = things.map(|due| due.place(tenant)).collect();
        let left = cx.deadline().map_or(Duration::ZERO, |deadline| {
            Duration::try_from(deadline.duration_since(now)).unwrap_or_default()
        });
        let ttl = left + self.margin;
        // Dropped when a later one is refused, what was reserved first is released: all or none.
        let units = self.take(&charges(ConsumeOn::Success), ttl, now).await?;
        let by_attempt = self.take(&charges(ConsumeOn::Attempt), ttl, now).await?;
        let places = self.occupy(&places, &invocation.input, ttl, now).await?;
        if let Some(by_attempt) = by_attempt {
            by_attempt.commit().await.map_err(|error| Unfunded::by(&error, weight))?;
        }
        Ok(Funds { units, places })
    }

    async fn take(
        &self,
        charges: &[Charge<'_>],
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Reservation>, Unfunded> {
        let Some(weight) = charges.first().map(|charge| charge.units) else { return Ok(None) };
        let reserved = self.quotas.reserve(charges, ttl, now).await;
        reserved.map(Some).map_err(|error| Unfunded::by(&error, Some(weight)))
    }

    async fn occupy(
        &self,
        places: &[Place<'_>],
        input: &Input,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Reservation>, Unfunded> {
        if places.is_empty() {
            return Ok(None);
        }
        let subject: Subject<'_> = match input {
            Input::Typed(message) => &**message,
            Input::Json(value) => value,
        };
        let reserved = self.cardinality.reserve(places, subject, ttl, now).await;
        reserved.map(Some).map_err(|error| Unfunded::by(&error, None))
    }

    fn due(
        &self,
        quota: Quota<'static>,
        question: &Question<'_>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Due, Unfunded> {
        let key = quota.key;
        let defined = self
            .deciding
            .catalog()
            .quota(key)
            .ok_or_else(|| Unfunded::new(format!("the catalog does not list quota `{key}`")))?;
        let counted = match (quota.kind, defined.kind, defined.window) {
            (QuotaKind::Metered, QuotaKind::Metered, Some(span)) => {
                let window = Period::try_from(span)
                    .and_then(|period| self.deciding.windows().at(period, snapshot.anchor(), now))
                    .map_err(|error| Unfunded::new(error.to_string()))?;
                By::Units(defined.consume_on(), window)
            }
            (QuotaKind::Cardinality, QuotaKind::Cardinality, _) => By::Things,
            _ => return Err(Unfunded::new(format!("the catalog lists quota `{key}` as another kind"))),
        };
        let limits = question.tenant_limit(key).zip(question.platform_limit(key));
        let (tenant_limit, platform_limit) =
            limits.ok_or_else(|| Unfunded::new(format!("no license states a limit for quota `{key}`")))?;
        Ok(Due { quota, counted, tenant_limit, platform_limit })
    }

    fn deny(&self, invocation: &Invocation, world: &World, unfunded: Unfunded) -> Fault<kernel::BoxProblem> {
        let Invocation { command, cx, .. } = invocation;
        let mut denial =
            self.deciding.denial(*command, Reason::QuotaExceeded, unfunded.because, &world.snapshot);
        denial.resets_at = unfunded.resets_at;
        refusal::denied(denial, cx).into()
    }
}
