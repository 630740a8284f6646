//! What is told of a registration.

use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::sqlx::{self, Row as _, any::AnyRow},
};

use crate::{
    TenancyError,
    tenant::{self, decode},
};

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
    const fn as_str(self) -> &'static str {
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
