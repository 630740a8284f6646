use std::{num::NonZeroU64, sync::Arc, time::Duration};

use descriptors::{
    catalog::ConsumeOn,
    denial::Reason,
    descriptor::{LicenseDescriptor, Quota, QuotaKind},
};
use jiff::Timestamp;
use kernel::{Category, Dispatch, Fault, Problem};
use license::Snapshot;
use quota::{Charge, MeteredStore, Period, QuotaError, Reservation, TenantShare};
use resolver::Question;

use super::Answer;
use crate::{
    calls::{Entitled, Fresh, Funded, Permit},
    deciding::Deciding,
    refusal,
};

/// Reserves from tenant and platform together before the command runs, and settles after it: success commits, and
/// failure, panic, timeout and cancellation release (semantics 5.2).
pub(crate) struct Fund<S> {
    pub(crate) deciding: Arc<Deciding>,
    pub(crate) quotas: Arc<dyn MeteredStore>,
    /// How long a reservation outlives the deadline of its call.
    pub(crate) margin: Duration,
    pub(crate) inner: S,
}

impl<S: Dispatch<Funded>> Dispatch<Fresh> for Fund<S> {
    async fn dispatch(&self, Fresh(call): Fresh) -> Answer {
        let descriptor = match call.permit {
            Permit::Granted(descriptor) if !descriptor.quotas().is_empty() => descriptor,
            Permit::Granted(_) | Permit::Exempt(_) => {
                return self.inner.dispatch(Funded(call.invocation)).await;
            }
        };
        let reserved = match self.reserve(&call, descriptor).await {
            Ok(reserved) => reserved,
            Err(unfunded) => return Err(self.deny(&call, unfunded)),
        };
        let answer = self.inner.dispatch(Funded(call.invocation)).await;
        let Some(reserved) = reserved else { return answer };
        match answer {
            Err(fault) => {
                if let Err(error) = reserved.release().await {
                    // It expires by itself.
                    tracing::warn!(%error, "failed to release a reservation");
                }
                Err(fault)
            }
            Ok(output) => {
                // Under way at once: a caller that goes away now does not undo the charge for what has been done.
                match reserved.commit().await {
                    Ok(()) => Ok(output),
                    Err(error) => Err(Fault::Internal(Box::new(Uncharged(error)))),
                }
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
    fn by(error: &QuotaError, units: u64) -> Self {
        let resets_at = match error {
            QuotaError::Exhausted { limit, resets_at, .. } if units <= *limit => Some(*resets_at),
            _ => None,
        };
        Self { because: error.to_string(), resets_at }
    }
}

/// One quota of the command, ready to be charged.
struct Due {
    quota: Quota<'static>,
    consume_on: ConsumeOn,
    window: quota::Window,
    tenant_limit: u64,
    platform_limit: u64,
}

impl<S> Fund<S> {
    /// Reserves every quota of the command, or none. What is consumed by the attempt is charged here and now; what is
    /// left to settle by the outcome is returned.
    async fn reserve(
        &self,
        call: &Entitled,
        descriptor: &'static LicenseDescriptor,
    ) -> Result<Option<Reservation>, Unfunded> {
        let cx = &call.invocation.cx;
        let now = cx.now();
        let question = self.deciding.question(call.invocation.command, &call.snapshot);
        let dues = descriptor
            .quotas()
            .iter()
            .map(|quota| self.due(*quota, &question, &call.snapshot, now))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(units) = descriptor.cost().units() else { return Ok(None) };
        let weight = NonZeroU64::from(units);
        let units = weight.get();
        // A call for no tenant counts against the platform alone.
        let tenant = cx.tenant().map(|tenant| tenant.to_string());
        let charges = |consume_on| -> Vec<Charge<'_>> {
            dues.iter()
                .filter(|due| due.consume_on == consume_on)
                .map(|due| Charge {
                    quota: due.quota.key.as_str(),
                    units: weight,
                    window: due.window,
                    platform_limit: due.platform_limit,
                    tenant: tenant.as_deref().map(|id| TenantShare { id, limit: due.tenant_limit }),
                })
                .collect()
        };
        let left = cx.deadline().map_or(Duration::ZERO, |deadline| {
            Duration::try_from(deadline.duration_since(now)).unwrap_or_default()
        });
        let ttl = left + self.margin;
        let by_success = self.take(&charges(ConsumeOn::Success), ttl, now, units).await?;
        // Dropped on failure, the first reservation is released: all or none.
        if let Some(by_attempt) = self.take(&charges(ConsumeOn::Attempt), ttl, now, units).await? {
            by_attempt.commit().await.map_err(|error| Unfunded::by(&error, units))?;
        }
        Ok(by_success)
    }

    async fn take(
        &self,
        charges: &[Charge<'_>],
        ttl: Duration,
        now: Timestamp,
        units: u64,
    ) -> Result<Option<Reservation>, Unfunded> {
        if charges.is_empty() {
            return Ok(None);
        }
        self.quotas.reserve(charges, ttl, now).await.map(Some).map_err(|error| {
            if !matches!(error, QuotaError::Exhausted { .. }) {
                tracing::error!(%error, "failed to reserve quota");
            }
            Unfunded::by(&error, units)
        })
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
        let (QuotaKind::Metered, QuotaKind::Metered, Some(span)) = (quota.kind, defined.kind, defined.window)
        else {
            return Err(Unfunded::new(format!("nothing in this build counts quota `{key}`")));
        };
        let window = Period::try_from(span)
            .and_then(|period| period.window_at(snapshot.anchor(), now))
            .map_err(|error| Unfunded::new(error.to_string()))?;
        let limits = question.tenant_limit(key).zip(question.platform_limit(key));
        let (tenant_limit, platform_limit) =
            limits.ok_or_else(|| Unfunded::new(format!("no license states a limit for quota `{key}`")))?;
        Ok(Due { quota, consume_on: defined.consume_on(), window, tenant_limit, platform_limit })
    }

    fn deny(&self, call: &Entitled, unfunded: Unfunded) -> Fault<kernel::BoxProblem> {
        let mut denial = self.deciding.denial(
            call.invocation.command,
            Reason::QuotaExceeded,
            unfunded.because,
            &call.snapshot,
        );
        denial.resets_at = unfunded.resets_at;
        refusal::denied(denial, &call.invocation.cx).into()
    }
}
