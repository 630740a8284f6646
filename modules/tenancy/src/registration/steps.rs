//! The steps of a registration, one after the other.

use sdk::{
    kernel::{BoxProblem, Fault},
    prelude::*,
};
use serde_json::json;

use super::{Wanted, log::Log};
use crate::{
    Slug, Tenancy, TenancyError, Tenant, TenantStatus, domain,
    tree::{self, Seedling},
};

impl Tenancy {
    /// Registers a customer tenant.
    pub(crate) async fn register(&self, cx: &Cx, wanted: Wanted) -> Result<Tenant, TenancyError> {
        let steps = &self.settings.steps;
        let seedling = Seedling {
            id: wanted.id,
            name: wanted.name.map_or_else(|| wanted.slug.to_string(), String::from),
            slug: wanted.slug,
            tenant_type: wanted.tenant_type.unwrap_or_else(Slug::organization),
            description: wanted.description.map(String::from),
            parent: wanted.parent,
            status: if steps.is_empty() { TenantStatus::Active } else { TenantStatus::PendingVerification },
        };
        let mut work = self.store.begin().await?;
        let tenant = tree::add(&mut work, cx, seedling).await?;
        let log = Log::open(&mut work, cx, &tenant, wanted.source).await?;
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
        self.steps_of_others(cx, &log, own, tenant).await
    }

    /// The steps of other modules, of which the first has this position in the log.
    async fn steps_of_others(
        &self,
        cx: &Cx,
        log: &Log,
        first: i64,
        tenant: Tenant,
    ) -> Result<Tenant, TenancyError> {
        for (position, step) in (first..).zip(&self.settings.steps) {
            let mut work = self.store.begin().await?;
            log.begin(&mut work, cx.now(), position, step.id).await?;
            work.commit(cx).await?;
            if let Err(fault) = self.call_step(cx, step.run, log, tenant.id).await {
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

    /// Calls a command of another module as the process itself, as part of the same request.
    pub(super) async fn call_step(
        &self,
        cx: &Cx,
        command: &str,
        log: &Log,
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
        let input = json!({ "tenantId": tenant, "registrationId": log.id });
        self.settings.line.bus()?.dispatch_json(own, command, input).await.map(drop)
    }
}
