use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, Any, Executor, Row, any::AnyRow, error::BoxDynError},
    },
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
    /// Its name for people.
    pub name: String,
    /// The tenant it stands beneath.
    #[serde(rename = "parentTenantId")]
    pub parent: Option<TenantId>,
    /// Whether it may act.
    pub status: TenantStatus,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Whether a tenant may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    /// It may.
    Active,
}

/// A tenant to be registered.
pub(crate) struct Registration {
    pub(crate) slug: Slug,
    pub(crate) name: Option<String>,
    pub(crate) parent: Option<TenantId>,
    /// Hidden from listings and from resolution by slug.
    pub(crate) system: bool,
}

/// Writes a tenant. The slug is claimed by the insert itself, so two that race for it cannot both have it.
pub(crate) async fn register(
    work: &mut Work,
    ambient: &Ambient,
    wanted: Registration,
) -> Result<Tenant, TenancyError> {
    let tenant = Tenant {
        id: TenantId(ambient.uuid()),
        name: wanted.name.unwrap_or_else(|| wanted.slug.to_string()),
        slug: wanted.slug,
        parent: wanted.parent,
        status: TenantStatus::Active,
        created_at: truncated(ambient.now()),
    };
    let inserted = sqlx::query(
        "INSERT INTO tenancy_tenant (id, slug, name, parent, status, system, created_at)
         VALUES ($1, $2, $3, $4, 'ACTIVE', $5, $6) ON CONFLICT (slug) DO NOTHING",
    )
    .bind(tenant.id.to_string())
    .bind(tenant.slug.as_str())
    .bind(&tenant.name)
    .bind(tenant.parent.map(|parent| parent.to_string()))
    .bind(i64::from(wanted.system))
    .bind(tenant.created_at.as_microsecond())
    .execute(&mut **work)
    .await?;
    if inserted.rows_affected() == 0 { Err(TenancyError::SlugTaken(tenant.slug)) } else { Ok(tenant) }
}

/// The application tenant's id.
pub(crate) async fn application(work: &mut Work) -> Result<Option<TenantId>, TenancyError> {
    let row =
        sqlx::query("SELECT * FROM tenancy_tenant WHERE system = 1").fetch_optional(&mut **work).await?;
    Ok(row.as_ref().map(read).transpose()?.map(|tenant| tenant.id))
}

/// The customer tenant with this slug.
pub(crate) async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    slug: &Slug,
) -> Result<Option<Tenant>, TenancyError> {
    let row = sqlx::query("SELECT * FROM tenancy_tenant WHERE slug = $1 AND system = 0")
        .bind(slug.as_str())
        .fetch_optional(executor)
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// A row of the table as a tenant.
pub(crate) fn read(row: &AnyRow) -> Result<Tenant, sqlx::Error> {
    let id = |text: String| text.parse().map(TenantId).map_err(decode);
    Ok(Tenant {
        id: id(row.try_get("id")?)?,
        slug: row.try_get::<String, _>("slug")?.parse().map_err(decode)?,
        name: row.try_get("name")?,
        parent: row.try_get::<Option<String>, _>("parent")?.map(id).transpose()?,
        status: TenantStatus::Active,
        created_at: Timestamp::from_microsecond(row.try_get("created_at")?).map_err(decode)?,
    })
}

fn decode(error: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// To the microsecond, as the database keeps it.
fn truncated(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}
