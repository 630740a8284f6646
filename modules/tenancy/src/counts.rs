//! How many tenants there are, for the quotas that count them.
//!
//! A tenant's share of `tenants.total.max` is what stands beneath it. Root tenants stand beneath nobody, so only the
//! application tenant, on whose behalf operators register them, has a share of `tenants.root.max`.

use quota::{BoxFuture, CardinalityProvider, Counted, Live, Providers, Subject};
use sdk::{
    prelude::*,
    store::sqlx::{self, AnyConnection},
};

use crate::{
    ROOT_TENANTS, TENANT_DEPTH, TOTAL_TENANTS, children::create::CreateChild, tenants::create::CreateTenant,
};

/// One of the counts.
#[derive(Clone, Copy, Debug)]
pub enum TenantCount {
    /// Of root tenants.
    Root,
    /// Of all tenants.
    Total,
    /// Of the levels above a tenant that is about to be made.
    Depth,
}

/// These and who counts tenants.
#[must_use]
pub fn cardinality_providers(providers: Providers) -> Providers {
    providers
        .with(ROOT_TENANTS.key.as_str(), TenantCount::Root)
        .with(TOTAL_TENANTS.key.as_str(), TenantCount::Total)
        .with(TENANT_DEPTH.key.as_str(), TenantCount::Depth)
}

impl CardinalityProvider for TenantCount {
    fn count<'a>(
        &'a self,
        work: &'a mut AnyConnection,
        of: Counted<'a>,
    ) -> BoxFuture<'a, Result<Option<Live>, StoreError>> {
        Box::pin(async move {
            match (self, of.tenant, of.subject) {
                (Self::Root, None, _) => {
                    things(work, "SELECT children FROM tenancy_tenant WHERE system = 1", None).await
                }
                (Self::Root, Some(tenant), _) => {
                    let sql = "SELECT children FROM tenancy_tenant WHERE system = 1 AND id = $1";
                    things(work, sql, Some(tenant)).await
                }
                (Self::Total, None, _) => {
                    things(work, "SELECT descendants FROM tenancy_tenant WHERE system = 1", None).await
                }
                (Self::Total, Some(tenant), _) => {
                    let sql = "SELECT descendants FROM tenancy_tenant WHERE id = $1 AND deleted_at IS NULL";
                    things(work, sql, Some(tenant)).await
                }
                (Self::Depth, _, Some(subject)) => depth(work, subject).await,
                (Self::Depth, _, None) => Ok(None),
            }
        })
    }
}

/// Nothing stands beneath a tenant that is not there.
async fn things(
    work: &mut AnyConnection,
    sql: &'static str,
    tenant: Option<&str>,
) -> Result<Option<Live>, StoreError> {
    let query = sqlx::query_scalar(sql);
    let query = if let Some(tenant) = tenant { query.bind(tenant.to_owned()) } else { query };
    let found: Option<i64> = query.fetch_optional(work).await?;
    Ok(Some(Live::Things(found.unwrap_or(0).unsigned_abs())))
}

/// The level of the parent, under which the next one is made. A parent that is not there is for the command to refuse.
async fn depth(work: &mut AnyConnection, subject: Subject<'_>) -> Result<Option<Live>, StoreError> {
    if subject.is::<CreateTenant>() {
        return Ok(Some(Live::Level(0)));
    }
    let Some(child) = subject.downcast_ref::<CreateChild>() else { return Ok(None) };
    let depth: Option<i64> = sqlx::query_scalar(
        "SELECT depth FROM tenancy_tenant WHERE id = $1 AND system = 0 AND deleted_at IS NULL",
    )
    .bind(child.tenant_id.to_string())
    .fetch_optional(work)
    .await?;
    Ok(Some(Live::Level(depth.unwrap_or(0).unsigned_abs())))
}
