//! A registration: a sequence of steps in a log.
//!
//! The steps of this module commit in one transaction, together with the log; a crash before leaves nothing. Only where
//! other modules have steps of their own does a registration stay in flight: the tenant is `PENDING_VERIFICATION` and may
//! not act until the last of them is done. If one fails, or the process dies, what was done is undone in reverse order, and
//! the tenant is removed as if it had never been.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sdk::{
    kernel::{BoxProblem, Fault},
    prelude::*,
    store::{
        Work,
        sqlx::{self, Row, any::AnyRow},
    },
};
use serde_json::json;

use crate::{
    Slug, Tenancy, TenancyError, Tenant, TenantStatus, Text, domain,
    tenant::{self, decode},
    tree::{self, Seedling},
};

/// How much longer than its call a registration is left alone: the call is stopped at its deadline, so nobody works on it
/// any more.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a registration without a deadline may take.
const UNLIMITED: Duration = Duration::from_mins(10);

/// Who asked for a registration. Decided by who calls, never by what is said in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// An operator of the platform, or whoever administers the tenant above.
    Operator,
    /// Whoever wants the tenant, through the public signup.
    SelfSignup,
    /// The process itself, when the deployment is set up.
    Bootstrap,
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "OPERATOR",
            Self::SelfSignup => "SELF_SIGNUP",
            Self::Bootstrap => "BOOTSTRAP",
        }
    }
}

/// The source of this call. Only the process itself can state one.
pub(crate) fn source(cx: &Cx, stated: Option<Source>) -> Source {
    match cx.principal() {
        Principal::System => stated.unwrap_or(Source::Bootstrap),
        Principal::Authenticated(_) | Principal::Anonymous => Source::Operator,
    }
}

/// What another module does for a new tenant before it is active. Both commands take `{"tenantId", "registrationId"}`, are
/// called by the process itself, and may be called again for the same registration.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What the log calls it, such as `owner-provisioned`.
    pub id: &'static str,
    /// The command that does it.
    pub run: &'static str,
    /// The command that undoes it, also where it was only begun; none, where there is nothing to undo.
    pub undo: Option<&'static str>,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RegistrationStatus {
    /// Steps are being done.
    InFlight,
    /// All steps are done.
    Completed,
    /// All that was done is undone.
    Compensated,
    /// Something that was done is not undone yet.
    Orphaned,
}

impl RegistrationStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "IN_FLIGHT",
            Self::Completed => "COMPLETED",
            Self::Compensated => "COMPENSATED",
            Self::Orphaned => "ORPHANED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::InFlight, Self::Completed, Self::Compensated, Self::Orphaned]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// A tenant to be registered.
pub(crate) struct Wanted {
    pub(crate) slug: Slug,
    pub(crate) tenant_type: Option<Slug>,
    pub(crate) name: Option<Text<200>>,
    pub(crate) description: Option<Text<2000>>,
    pub(crate) parent: Option<TenantId>,
    pub(crate) source: Source,
}

/// A registration whose compensation failed.
pub(crate) struct Orphaned {
    pub(crate) step: &'static str,
    pub(crate) reason: String,
}

impl Tenancy {
    /// Registers a customer tenant.
    pub(crate) async fn register(&self, cx: &Cx, wanted: Wanted) -> Result<Tenant, TenancyError> {
        let steps = &self.settings.steps;
        let source = wanted.source;
        let seedling = Seedling {
            name: wanted.name.map_or_else(|| wanted.slug.to_string(), String::from),
            slug: wanted.slug,
            tenant_type: wanted.tenant_type.unwrap_or_else(Slug::organization),
            description: wanted.description.map(String::from),
            parent: wanted.parent,
            status: if steps.is_empty() { TenantStatus::Active } else { TenantStatus::PendingVerification },
        };
        let mut work = self.store.begin().await?;
        let tenant = tree::add(&mut work, cx, seedling).await?;
        let log = Log { id: cx.uuid().to_string(), first: 0 };
        log.open(&mut work, cx, &tenant, source).await?;
        log.done(&mut work, cx.now(), 0, "routing-inserted").await?;
        let mut own = 1;
        if let Some(platform) = &self.settings.platform_domain {
            domain::add_subdomain(&mut work, cx, &tenant, platform).await?;
            log.done(&mut work, cx.now(), own, "subdomain-added").await?;
            own += 1;
        }
        if steps.is_empty() {
            log.complete(&mut work, cx.now(), &tenant).await?;
            work.commit(cx).await?;
            return Ok(tenant);
        }
        work.commit(cx).await?;
        self.rest(cx, Log { first: own, ..log }, tenant).await
    }

    /// The steps of other modules.
    async fn rest(&self, cx: &Cx, log: Log, tenant: Tenant) -> Result<Tenant, TenancyError> {
        for (position, step) in (log.first..).zip(&self.settings.steps) {
            let mut work = self.store.begin().await?;
            log.begin(&mut work, cx.now(), position, step.id).await?;
            work.commit(cx).await?;
            if let Err(fault) = self.call(cx, step.run, &log.id, tenant.id).await {
                let code = fault.code().to_owned();
                tracing::warn!(step = step.id, %code, "a step of a registration failed");
                let mut work = self.store.begin().await?;
                log.failed(&mut work, cx.now(), position, &code).await?;
                work.commit(cx).await?;
                if let Err(orphaned) = self.compensate(cx, &log.id, tenant.id).await? {
                    tracing::error!(
                        step = orphaned.step,
                        reason = orphaned.reason,
                        "a registration is orphaned"
                    );
                }
                return Err(TenancyError::StepFailed { step: step.id, code });
            }
            let mut work = self.store.begin().await?;
            log.done(&mut work, cx.now(), position, step.id).await?;
            work.commit(cx).await?;
        }
        let mut work = self.store.begin().await?;
        log.complete(&mut work, cx.now(), &tenant).await?;
        work.commit(cx).await?;
        Ok(Tenant { status: TenantStatus::Active, ..tenant })
    }

    /// Undoes what a registration has done. Does again what was not undone the last time; what is undone stays so.
    pub(crate) async fn compensate(
        &self,
        cx: &Cx,
        registration: &str,
        tenant: TenantId,
    ) -> Result<Result<(), Orphaned>, TenancyError> {
        let mut work = self.store.begin().await?;
        // From here on its own call cannot go on with it.
        let claimed = sqlx::query(
            "UPDATE tenancy_registration SET status = 'ORPHANED', updated_at = $2
             WHERE id = $1 AND status IN ('IN_FLIGHT', 'ORPHANED')",
        )
        .bind(registration)
        .bind(cx.now().as_microsecond())
        .execute(&mut *work)
        .await?;
        let begun = sqlx::query(
            "SELECT position, step FROM tenancy_registration_step
             WHERE registration = $1 AND undone_at IS NULL ORDER BY position DESC",
        )
        .bind(registration)
        .fetch_all(&mut *work)
        .await?;
        work.commit(cx).await?;
        if claimed.rows_affected() == 0 {
            return Ok(Ok(()));
        }
        let log = Log { id: registration.to_owned(), first: 0 };
        for row in begun {
            let id: String = row.try_get("step")?;
            let Some(step) = self.settings.steps.iter().find(|step| step.id == id) else { continue };
            if let Some(undo) = step.undo
                && let Err(fault) = self.call(cx, undo, registration, tenant).await
            {
                let reason = fault.code().to_owned();
                let mut work = self.store.begin().await?;
                log.failed(&mut work, cx.now(), row.try_get("position")?, &reason).await?;
                work.commit(cx).await?;
                return Ok(Err(Orphaned { step: step.id, reason }));
            }
            let mut work = self.store.begin().await?;
            log.undone(&mut work, cx.now(), Some(row.try_get("position")?)).await?;
            work.commit(cx).await?;
        }
        let mut work = self.store.begin().await?;
        let closed = sqlx::query(
            "UPDATE tenancy_registration SET status = 'COMPENSATED', updated_at = $2, completed_at = $2
             WHERE id = $1 AND status = 'ORPHANED'",
        )
        .bind(registration)
        .bind(cx.now().as_microsecond())
        .execute(&mut *work)
        .await?;
        if closed.rows_affected() == 1 {
            tree::undo(&mut work, tenant).await?;
            log.undone(&mut work, cx.now(), None).await?;
        }
        work.commit(cx).await?;
        Ok(Ok(()))
    }

    /// Calls a command of another module as the process itself, as part of the same request.
    async fn call(
        &self,
        cx: &Cx,
        command: &str,
        registration: &str,
        tenant: TenantId,
    ) -> Result<(), Fault<BoxProblem>> {
        let mut own = Cx::new(cx.ambient().clone(), Principal::System)
            .with_correlation(cx.correlation().clone())
            .with_tenant(self.application);
        if let Some(deadline) = cx.deadline() {
            own = own.with_deadline(deadline);
        }
        if let Some(trace) = cx.trace() {
            own = own.with_trace(trace);
        }
        let input = json!({ "tenantId": tenant, "registrationId": registration });
        self.settings.line.bus()?.dispatch_json(own, command, input).await.map(drop)
    }
}

/// The log of one registration, whose steps of other modules begin at `first`.
struct Log {
    id: String,
    first: i64,
}

impl Log {
    async fn open(
        &self,
        work: &mut Work,
        cx: &Cx,
        tenant: &Tenant,
        source: Source,
    ) -> Result<(), TenancyError> {
        let now = cx.now();
        let left = cx.deadline().map(|deadline| deadline.duration_since(now));
        let left = left.unwrap_or_else(|| signed(UNLIMITED)).saturating_add(signed(MARGIN));
        let expires_at = now.checked_add(left).unwrap_or(Timestamp::MAX);
        sqlx::query(
            "INSERT INTO tenancy_registration
                 (id, correlation, tenant, source, status, started_at, updated_at, expires_at)
             VALUES ($1, $2, $3, $4, 'IN_FLIGHT', $5, $5, $6)",
        )
        .bind(&self.id)
        .bind(cx.correlation().as_str())
        .bind(tenant.id.to_string())
        .bind(source.as_str())
        .bind(now.as_microsecond())
        .bind(expires_at.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// A step is about to be done. Not where the registration is being undone.
    async fn begin(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: i64,
        step: &str,
    ) -> Result<(), TenancyError> {
        let going_on = sqlx::query(
            "UPDATE tenancy_registration SET updated_at = $2 WHERE id = $1 AND status = 'IN_FLIGHT'",
        )
        .bind(&self.id)
        .bind(now.as_microsecond())
        .execute(&mut **work)
        .await?;
        if going_on.rows_affected() == 0 {
            return Err(TenancyError::Interrupted);
        }
        sqlx::query(
            "INSERT INTO tenancy_registration_step (registration, position, step, started_at)
             VALUES ($1, $2, $3, $4) ON CONFLICT (registration, position) DO NOTHING",
        )
        .bind(&self.id)
        .bind(position)
        .bind(step)
        .bind(now.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    async fn done(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: i64,
        step: &str,
    ) -> Result<(), TenancyError> {
        self.begin(work, now, position, step).await?;
        sqlx::query(
            "UPDATE tenancy_registration_step SET completed_at = $3 WHERE registration = $1 AND position = $2",
        )
        .bind(&self.id)
        .bind(position)
        .bind(now.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    async fn failed(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: i64,
        code: &str,
    ) -> Result<(), TenancyError> {
        sqlx::query("UPDATE tenancy_registration SET updated_at = $2, last_error = $3 WHERE id = $1")
            .bind(&self.id)
            .bind(now.as_microsecond())
            .bind(code)
            .execute(&mut **work)
            .await?;
        sqlx::query(
            "UPDATE tenancy_registration_step SET error = $3 WHERE registration = $1 AND position = $2",
        )
        .bind(&self.id)
        .bind(position)
        .bind(code)
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// One step is undone, or all that are left.
    async fn undone(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: Option<i64>,
    ) -> Result<(), TenancyError> {
        sqlx::query(
            "UPDATE tenancy_registration_step SET undone_at = $2
             WHERE registration = $1 AND position >= $3 AND undone_at IS NULL",
        )
        .bind(&self.id)
        .bind(now.as_microsecond())
        .bind(position.unwrap_or(0))
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// The tenant may act from now on.
    async fn complete(&self, work: &mut Work, now: Timestamp, tenant: &Tenant) -> Result<(), TenancyError> {
        let completed = sqlx::query(
            "UPDATE tenancy_registration SET status = 'COMPLETED', updated_at = $2, completed_at = $2
             WHERE id = $1 AND status = 'IN_FLIGHT'",
        )
        .bind(&self.id)
        .bind(now.as_microsecond())
        .execute(&mut **work)
        .await?;
        if completed.rows_affected() == 0 {
            return Err(TenancyError::Interrupted);
        }
        sqlx::query(
            "UPDATE tenancy_tenant SET status = 'ACTIVE' WHERE id = $1 AND status = 'PENDING_VERIFICATION'",
        )
        .bind(tenant.id.to_string())
        .execute(&mut **work)
        .await?;
        Ok(())
    }
}

/// What is told of a registration.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationView {
    /// The request that asked for it.
    pub correlation_id: String,
    /// Its own id.
    pub log_id: String,
    /// The tenant, which is gone again where the registration was undone.
    pub tenant_id: TenantId,
    /// Who asked for it.
    pub source: String,
    /// What became of it.
    pub status: RegistrationStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When something last happened.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub completed_at: Option<Timestamp>,
    /// The code of what last went wrong.
    pub last_error: Option<String>,
    /// The steps, in the order they were begun.
    pub steps: Vec<StepView>,
}

/// What is told of a step.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Which step.
    pub step: StepName,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was done.
    pub completed_at: Option<Timestamp>,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// The code of what went wrong.
    pub error: Option<String>,
}

/// Which step.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepName {
    /// Such as `routing-inserted`; more of them may come.
    pub id: String,
}

impl RegistrationView {
    pub(crate) fn read(row: &AnyRow, steps: &[AnyRow]) -> Result<Self, TenancyError> {
        let status: String = row.try_get("status")?;
        let steps = steps.iter().map(|row| {
            Ok::<_, sqlx::Error>(StepView {
                step: StepName { id: row.try_get("step")? },
                started_at: tenant::instant(row, "started_at")?,
                completed_at: tenant::maybe_instant(row, "completed_at")?,
                undone_at: tenant::maybe_instant(row, "undone_at")?,
                error: row.try_get("error")?,
            })
        });
        Ok(Self {
            correlation_id: row.try_get("correlation")?,
            log_id: row.try_get("id")?,
            tenant_id: tenant::id(row, "tenant")?,
            source: row.try_get("source")?,
            status: RegistrationStatus::parse(&status).ok_or_else(|| decode("no such status"))?,
            started_at: tenant::instant(row, "started_at")?,
            updated_at: tenant::instant(row, "updated_at")?,
            completed_at: tenant::maybe_instant(row, "completed_at")?,
            last_error: row.try_get("last_error")?,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
