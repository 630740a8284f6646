//! How a registration is undone.

use sdk::{prelude::*, store::sqlx::Row as _};

use super::log::Log;
use crate::{Tenancy, TenancyError, tree};

/// A registration whose compensation failed.
pub(crate) struct Orphaned {
    pub(crate) step: &'static str,
    pub(crate) reason: String,
}

impl Tenancy {
    /// Undoes what a registration has done. Does again what was not undone the last time; what is undone stays so.
    pub(crate) async fn compensate(
        &self,
        cx: &Cx,
        registration: &str,
        tenant: TenantId,
    ) -> Result<Result<(), Orphaned>, TenancyError> {
        let log = Log { id: registration.to_owned() };
        let mut work = self.store.begin().await?;
        // From here on its own call cannot go on with it.
        let claimed = log.claim(&mut work, cx.now()).await?;
        let begun = log.begun(&mut work).await?;
        work.commit(cx).await?;
        if !claimed {
            return Ok(Ok(()));
        }
        for row in begun {
            let (position, id): (i64, String) = (row.try_get("position")?, row.try_get("step")?);
            let Some(step) = self.settings.steps.iter().find(|step| step.id == id) else { continue };
            if let Some(undo) = step.undo
                && let Err(fault) = self.call_step(cx, undo, &log, tenant).await
            {
                let reason = fault.code().to_owned();
                let mut work = self.store.begin().await?;
                log.failed(&mut work, cx.now(), position, &reason).await?;
                work.commit(cx).await?;
                return Ok(Err(Orphaned { step: step.id, reason }));
            }
            let mut work = self.store.begin().await?;
            log.undone(&mut work, cx.now(), position).await?;
            work.commit(cx).await?;
        }
        let mut work = self.store.begin().await?;
        if log.close(&mut work, cx.now()).await? {
            tree::undo(&mut work, tenant).await?;
            log.undone(&mut work, cx.now(), 0).await?;
        }
        work.commit(cx).await?;
        Ok(Ok(()))
    }
}
