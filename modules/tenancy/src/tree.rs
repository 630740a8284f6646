//! The tree itself: who stands beneath whom, and how many.
//!
//! INVARIANT: whoever adds or removes a tenant counts it at the system tenant first. That row is therefore the lock of the
//! tree, and the counts are right in every transaction that sees the tenants.

use sdk::{
    prelude::*,
    store::{
        Work,
        sqlx::{self, AnyConnection},
    },
};

use crate::{
    Slug, TenancyError, Tenant, TenantStatus,
    tenant::{by_id, read, truncated},
};

/// A customer tenant to be added.
pub(crate) struct Seedling {
    /// A fresh one, when none.
    pub(crate) id: Option<TenantId>,
    pub(crate) slug: Slug,
    pub(crate) tenant_type: Slug,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) parent: Option<TenantId>,
    pub(crate) status: TenantStatus,
}

/// Adds a tenant. The slug is claimed by the insert itself, so two that race for it cannot both have it.
pub(crate) async fn add(work: &mut Work, cx: &Cx, seedling: Seedling) -> Result<Tenant, TenancyError> {
    count(work, seedling.parent, 1).await?;
    let depth = match seedling.parent {
        None => 1,
        Some(parent) => 1 + active(work, parent).await?.depth,
    };
    let now = truncated(cx.now());
    let actor = cx.principal().actor();
    let tenant = Tenant {
        id: seedling.id.unwrap_or_else(|| TenantId(cx.uuid())),
        slug: seedling.slug,
        tenant_type: seedling.tenant_type,
        name: seedling.name,
        description: seedling.description,
        parent: seedling.parent,
        depth,
        status: seedling.status,
        system: false,
        created_at: now,
        created_by: actor.to_owned(),
        updated_at: now,
        updated_by: actor.to_owned(),
        deleted_at: None,
    };
    if insert(work, &tenant).await? { Ok(tenant) } else { Err(TenancyError::SlugTaken(tenant.slug)) }
}

/// Deletes a tenant that nobody stands beneath. Its slug stays taken.
pub(crate) async fn delete(work: &mut Work, cx: &Cx, tenant: Tenant) -> Result<Tenant, TenancyError> {
    count(work, tenant.parent, -1).await?;
    let now = truncated(cx.now());
    let deleted = sqlx::query(
        "UPDATE tenancy_tenant SET deleted_at = $2, updated_at = $2, updated_by = $3
         WHERE id = $1 AND system = 0 AND deleted_at IS NULL AND children = 0",
    )
    .bind(tenant.id.to_string())
    .bind(now.as_microsecond())
    .bind(cx.principal().actor())
    .execute(&mut **work)
    .await?;
    if deleted.rows_affected() == 0 {
        return Err(match by_id(&mut **work, tenant.id).await? {
            Some(_) => TenancyError::HasChildren(tenant.id),
            None => TenancyError::NoSuchTenant(tenant.id.to_string()),
        });
    }
    Ok(Tenant {
        deleted_at: Some(now),
        updated_at: now,
        updated_by: cx.principal().actor().to_owned(),
        ..tenant
    })
}

/// Removes a tenant that never became active, as if it had not been added. `false` when it did, or is gone.
pub(crate) async fn undo(work: &mut Work, tenant: TenantId) -> Result<bool, TenancyError> {
    let Some(found) = by_id(&mut **work, tenant).await? else { return Ok(false) };
    count(work, found.parent, -1).await?;
    let id = tenant.to_string();
    let pending = sqlx::query(
        "UPDATE tenancy_tenant SET updated_at = updated_at
         WHERE id = $1 AND system = 0 AND status = 'PENDING_VERIFICATION'",
    );
    if pending.bind(&id).execute(&mut **work).await?.rows_affected() == 0 {
        count(work, found.parent, 1).await?;
        return Ok(false);
    }
    for statement in
        ["DELETE FROM tenancy_domain WHERE tenant = $1", "DELETE FROM tenancy_tenant WHERE id = $1"]
    {
        sqlx::query(statement).bind(&id).execute(&mut **work).await?;
    }
    Ok(true)
}

/// Counts a tenant in beneath this one, or out.
async fn count(work: &mut Work, parent: Option<TenantId>, by: i64) -> Result<(), TenancyError> {
    let whole = sqlx::query(
        "UPDATE tenancy_tenant SET children = children + $1, descendants = descendants + $2 WHERE system = 1",
    )
    .bind(if parent.is_none() { by } else { 0 })
    .bind(by)
    .execute(&mut **work)
    .await?;
    if whole.rows_affected() == 0 {
        return Err(TenancyError::NoApplicationTenant);
    }
    // Level by level, each by its key: as one recursive statement, PostgreSQL would read the whole table for it.
    let (mut above, mut children) = (parent.map(|parent| parent.to_string()), by);
    while let Some(id) = above {
        let next: Option<Option<String>> = sqlx::query_scalar(
            "UPDATE tenancy_tenant SET children = children + $2, descendants = descendants + $3
             WHERE id = $1 RETURNING parent",
        )
        .bind(id)
        .bind(std::mem::take(&mut children))
        .bind(by)
        .fetch_optional(&mut **work)
        .await?;
        above = next.flatten();
    }
    Ok(())
}

/// The customer tenant beneath which another may stand. Nobody changes it until the work ends.
async fn active(work: &mut Work, parent: TenantId) -> Result<Tenant, TenancyError> {
    let found = by_id(&mut **work, parent).await?.filter(|tenant| !tenant.system);
    let found = found.ok_or_else(|| TenancyError::NoSuchTenant(parent.to_string()))?;
    if found.status == TenantStatus::Active { Ok(found) } else { Err(TenancyError::NotActive(parent)) }
}

/// Whether a tenant is this one, or stands beneath it.
pub(crate) async fn is_within(
    connection: &mut AnyConnection,
    tenant: TenantId,
    root: TenantId,
) -> Result<bool, TenancyError> {
    let root = root.to_string();
    let mut above = Some(tenant.to_string());
    while let Some(id) = above {
        if id == root {
            return Ok(true);
        }
        let next: Option<Option<String>> =
            sqlx::query_scalar("SELECT parent FROM tenancy_tenant WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
        above = next.flatten();
    }
    Ok(false)
}

/// The system tenant, made when there is none.
pub(crate) async fn application(work: &mut Work, ambient: &Ambient) -> Result<TenantId, TenancyError> {
    let now = truncated(ambient.now());
    let system = Principal::System.actor().to_owned();
    let made = Tenant {
        id: TenantId(ambient.uuid()),
        slug: Slug::platform(),
        tenant_type: Slug::organization(),
        name: "Platform".to_owned(),
        description: None,
        parent: None,
        depth: 0,
        status: TenantStatus::Active,
        system: true,
        created_at: now,
        created_by: system.clone(),
        updated_at: now,
        updated_by: system,
        deleted_at: None,
    };
    insert(work, &made).await?;
    let row = sqlx::query("SELECT * FROM tenancy_tenant WHERE system = 1").fetch_one(&mut **work).await?;
    Ok(read(&row)?.id)
}

async fn insert(work: &mut Work, tenant: &Tenant) -> Result<bool, TenancyError> {
    let inserted = sqlx::query(
        "INSERT INTO tenancy_tenant (id, slug, tenant_type, name, description, parent, depth, status, system,
             children, descendants, created_at, created_by, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11, $10, $11) ON CONFLICT (slug) DO NOTHING",
    )
    .bind(tenant.id.to_string())
    .bind(tenant.slug.as_str())
    .bind(tenant.tenant_type.as_str())
    .bind(&tenant.name)
    .bind(&tenant.description)
    .bind(tenant.parent.map(|parent| parent.to_string()))
    .bind(i64::from(tenant.depth))
    .bind(tenant.status.as_str())
    .bind(i64::from(tenant.system))
    .bind(tenant.created_at.as_microsecond())
    .bind(&tenant.created_by)
    .execute(&mut **work)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
