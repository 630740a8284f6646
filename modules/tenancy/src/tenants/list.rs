//! `tenancy.tenants.list`

use sdk::{prelude::*, store::sqlx};

use crate::{Slug, TENANTS_READ, Tenancy, TenancyError, Tenant, tenant::read};

/// List tenants by slug, a page at a time.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("tenancy.tenants.list", Tenancy -> TenantPage)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants")]
pub struct ListTenants {
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<Slug>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

/// Some tenants, by slug.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantPage {
    /// At most as many as were asked for.
    pub tenants: Vec<Tenant>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Slug>,
}

impl Handle<ListTenants> for Tenancy {
    async fn handle(&self, _cx: &Cx, command: ListTenants) -> Result<TenantPage, TenancyError> {
        let limit = command.limit.unwrap_or(50).clamp(1, 200) as usize;
        // One more than asked for tells whether there is another page.
        let rows =
            sqlx::query("SELECT * FROM tenancy_tenant WHERE system = 0 AND slug > $1 ORDER BY slug LIMIT $2")
                .bind(command.after.map_or_else(String::new, String::from))
                .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
                .fetch_all(self.store.reader())
                .await?;
        let tenants = rows.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        let next = tenants.last().filter(|_| rows.len() > limit).map(|tenant| tenant.slug.clone());
        Ok(TenantPage { tenants, next })
    }
}
