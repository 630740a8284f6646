//! What is written down of a registration, each line with the work that does what it says.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, any::AnyRow},
    },
};

use super::Source;
use crate::{TenancyError, Tenant};

/// How much longer than its call a registration is left alone: the call is stopped at its deadline, so nobody works on it
/// any more.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a registration without a deadline may take.
const UNLIMITED: Duration = Duration::from_mins(10);

/// The log of one registration.
pub(super) struct Log {
    pub(super) id: String,
}

impl Log {
    pub(super) async fn open(
        work: &mut Work,
        cx: &Cx,
        tenant: &Tenant,
        source: Source,
    ) -> Result<Self, TenancyError> {
        let (id, now) = (cx.uuid().to_string(), cx.now());
        let left = cx.deadline().map(|deadline| deadline.duration_since(now));
        let left = left.unwrap_or_else(|| signed(UNLIMITED)).saturating_add(signed(MARGIN));
        let expires_at = now.checked_add(left).unwrap_or(Timestamp::MAX);
        sqlx::query(
            "INSERT INTO tenancy_registration
                 (id, correlation, tenant, source, status, started_at, updated_at, expires_at)
             VALUES ($1, $2, $3, $4, 'IN_FLIGHT', $5, $5, $6)",
        )
        .bind(&id)
        .bind(cx.correlation().as_str())
        .bind(tenant.id.to_string())
        .bind(source.as_str())
        .bind(now.as_microsecond())
        .bind(expires_at.as_microsecond())
        .execute(&mut **work)
        .await?;
        Ok(Self { id })
    }

    /// A step is about to be done. Not where the registration is being undone.
    pub(super) async fn begin(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: i64,
        step: &str,
    ) -> Result<(), TenancyError> {
        let going_on =
            "UPDATE tenancy_registration SET updated_at = $2 WHERE id = $1 AND status = 'IN_FLIGHT'";
        if !self.moved(work, now, going_on).await? {
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

    pub(super) async fn done(
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

    pub(super) async fn failed(
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

    /// The tenant may act from now on.
    pub(super) async fn complete(
        &self,
        work: &mut Work,
        now: Timestamp,
        tenant: &Tenant,
    ) -> Result<(), TenancyError> {
        let completed =
            "UPDATE tenancy_registration SET status = 'COMPLETED', updated_at = $2, completed_at = $2
             WHERE id = $1 AND status = 'IN_FLIGHT'";
        if !self.moved(work, now, completed).await? {
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

    /// It is to be undone. `false` where it has come to its end.
    pub(super) async fn claim(&self, work: &mut Work, now: Timestamp) -> Result<bool, TenancyError> {
        let claimed = "UPDATE tenancy_registration SET status = 'ORPHANED', updated_at = $2
             WHERE id = $1 AND status IN ('IN_FLIGHT', 'ORPHANED')";
        self.moved(work, now, claimed).await
    }

    /// The steps that were begun and are not undone, the last one first.
    pub(super) async fn begun(&self, work: &mut Work) -> Result<Vec<AnyRow>, TenancyError> {
        let begun = sqlx::query(
            "SELECT position, step FROM tenancy_registration_step
             WHERE registration = $1 AND undone_at IS NULL ORDER BY position DESC",
        );
        Ok(begun.bind(&self.id).fetch_all(&mut **work).await?)
    }

    /// The steps from this one on are undone.
    pub(super) async fn undone(
        &self,
        work: &mut Work,
        now: Timestamp,
        position: i64,
    ) -> Result<(), TenancyError> {
        sqlx::query(
            "UPDATE tenancy_registration_step SET undone_at = $2
             WHERE registration = $1 AND position >= $3 AND undone_at IS NULL",
        )
        .bind(&self.id)
        .bind(now.as_microsecond())
        .bind(position)
        .execute(&mut **work)
        .await?;
        Ok(())
    }

    /// All is undone. `false` where somebody else has said so.
    pub(super) async fn close(&self, work: &mut Work, now: Timestamp) -> Result<bool, TenancyError> {
        let closed =
            "UPDATE tenancy_registration SET status = 'COMPENSATED', updated_at = $2, completed_at = $2
             WHERE id = $1 AND status = 'ORPHANED'";
        self.moved(work, now, closed).await
    }

    /// Whether it stood where this statement moves it on from.
    async fn moved(&self, work: &mut Work, now: Timestamp, sql: &'static str) -> Result<bool, TenancyError> {
        let moved = sqlx::query(sql).bind(&self.id).bind(now.as_microsecond()).execute(&mut **work).await?;
        Ok(moved.rows_affected() == 1)
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
