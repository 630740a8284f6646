//! `tenancy.children.list`

use sdk::prelude::*;

use crate::{
    TENANTS_READ, Tenancy, TenancyError, TenantPage,
    page::{Direction, Order, Pages},
};

/// List the tenants directly beneath one, by slug, a page at a time.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.children.list", Tenancy -> TenantPage)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants/{tenantId}/children")]
pub struct ListChildren {
    /// The id of the tenant they stand beneath.
    pub tenant_id: TenantId,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

impl Handle<ListChildren> for Tenancy {
    async fn handle(&self, cx: &Cx, command: ListChildren) -> Result<TenantPage, TenancyError> {
        let parent = self.reached(cx, command.tenant_id).await?;
        let pages = Pages {
            slug: None,
            status: None,
            parent: Some(parent.id),
            order: Order::Slug,
            direction: Direction::Asc,
            limit: command.limit,
        };
        pages.after(&self.store, command.after).await
    }
}
