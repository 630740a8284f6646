use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::sqlx::{self, Any, Executor, Row, any::AnyRow, error::BoxDynError},
};

use crate::{Slug, TenancyError};

/// A tenant of this deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its id.
    #[serde(rename = "tenantId")]
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
    /// What kind of tenant its owner calls it.
    pub tenant_type: Slug,
    /// Its name for people.
    pub name: String,
    /// More about it, for people.
    pub description: Option<String>,
    /// The tenant it stands beneath; none beneath nobody.
    #[serde(rename = "parentTenantId")]
    pub parent: Option<TenantId>,
    /// Its level in the tree: 1 beneath nobody.
    pub depth: u32,
    /// Whether it may act.
    pub status: TenantStatus,
    /// Whether it is the platform's own.
    pub system: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Whether a tenant may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    /// It may.
    Active,
    /// An operator took that from it.
    Suspended,
    /// Its registration has not come to its end yet.
    PendingVerification,
}

impl TenantStatus {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::PendingVerification => "PENDING_VERIFICATION",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::PendingVerification]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Some tenants, with a way to the next ones.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantPage {
    /// At most as many as were asked for.
    pub tenants: Vec<Tenant>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The live customer tenant with this slug.
pub(crate) async fn by_slug<'e>(
    executor: impl Executor<'e, Database = Any>,
    slug: &Slug,
) -> Result<Option<Tenant>, TenancyError> {
    let row =
        sqlx::query("SELECT * FROM tenancy_tenant WHERE slug = $1 AND system = 0 AND deleted_at IS NULL")
            .bind(slug.as_str())
            .fetch_optional(executor)
            .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The live tenant with this id, the platform's own included.
pub(crate) async fn by_id<'e>(
    executor: impl Executor<'e, Database = Any>,
    id: TenantId,
) -> Result<Option<Tenant>, TenancyError> {
    let row = sqlx::query("SELECT * FROM tenancy_tenant WHERE id = $1 AND deleted_at IS NULL")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// A row of the table as a tenant.
pub(crate) fn read(row: &AnyRow) -> Result<Tenant, sqlx::Error> {
    Ok(Tenant {
        id: id(row, "id")?,
        slug: row.try_get::<String, _>("slug")?.parse().map_err(decode)?,
        tenant_type: row.try_get::<String, _>("tenant_type")?.parse().map_err(decode)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        parent: row.try_get::<Option<String>, _>("parent")?.map(|_| id(row, "parent")).transpose()?,
        depth: u32::try_from(row.try_get::<i64, _>("depth")?).map_err(decode)?,
        status: TenantStatus::parse(row.try_get("status")?).ok_or_else(|| decode("no such status"))?,
        system: row.try_get::<i64, _>("system")? == 1,
        created_at: instant(row, "created_at")?,
        created_by: row.try_get("created_by")?,
        updated_at: instant(row, "updated_at")?,
        updated_by: row.try_get("updated_by")?,
        deleted_at: maybe_instant(row, "deleted_at")?,
    })
}

pub(crate) fn id(row: &AnyRow, column: &str) -> Result<TenantId, sqlx::Error> {
    row.try_get::<String, _>(column)?.parse().map(TenantId).map_err(decode)
}

pub(crate) fn instant(row: &AnyRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(row.try_get(column)?).map_err(decode)
}

pub(crate) fn maybe_instant(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros: Option<i64> = row.try_get(column)?;
    micros.map(|micros| Timestamp::from_microsecond(micros).map_err(decode)).transpose()
}

pub(crate) fn decode(error: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// To the microsecond, as the database keeps it.
pub(crate) fn truncated(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}
