//! `tenancy.tenants.list`

use sdk::prelude::*;

use crate::{
    Slug, TENANTS_READ, Tenancy, TenancyError, TenantPage, TenantStatus,
    page::{Direction, Order, Pages},
};

/// List tenants, a page at a time: of the whole platform, or directly beneath one. Who is no operator of the platform sees
/// those beneath their own.
#[derive(Debug, Default, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.tenants.list", Tenancy -> TenantPage)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenants")]
pub struct ListTenants {
    /// Only the one with this slug.
    #[serde(default)]
    pub slug: Option<Slug>,
    /// Only those of this status.
    #[serde(default)]
    pub status: Option<TenantStatus>,
    /// Only those directly beneath this one.
    #[serde(default)]
    pub parent_tenant_id: Option<TenantId>,
    /// By what they are ordered; by slug when not stated.
    #[serde(default)]
    pub sort: Option<Order>,
    /// From which end; ascending when not stated.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

impl Handle<ListTenants> for Tenancy {
    async fn handle(&self, cx: &Cx, command: ListTenants) -> Result<TenantPage, TenancyError> {
        let parent = match (command.parent_tenant_id, cx.principal()) {
            (Some(parent), _) => Some(self.reached(cx, parent).await?.id),
            (None, _) if self.is_operator(cx) => None,
            (None, Principal::Authenticated(who)) => Some(who.home.ok_or(TenancyError::OperatorsOnly)?),
            (None, Principal::Anonymous | Principal::System) => return Err(TenancyError::OperatorsOnly),
        };
        let pages = Pages {
            slug: command.slug,
            status: command.status,
            parent,
            order: command.sort.unwrap_or(Order::Slug),
            direction: command.direction.unwrap_or(Direction::Asc),
            limit: command.limit,
        };
        pages.after(&self.store, command.after).await
    }
}
