//! Pages of tenants. Each begins after the last tenant of the one before, so that none is skipped or told twice whatever
//! happens in between.

use sdk::{
    prelude::*,
    store::sqlx::{self, AssertSqlSafe},
};

use crate::{Slug, TenancyError, Tenant, TenantPage, TenantStatus, tenant::read};

/// By what tenants are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// By their names in addresses.
    Slug,
    /// By when they were registered.
    CreatedAt,
}

/// From which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The least first.
    Asc,
    /// The greatest first.
    Desc,
}

pub(crate) struct Pages {
    pub(crate) slug: Option<Slug>,
    pub(crate) status: Option<TenantStatus>,
    pub(crate) parent: Option<TenantId>,
    pub(crate) order: Order,
    pub(crate) direction: Direction,
    pub(crate) limit: Option<u32>,
}

impl Pages {
    pub(crate) async fn after(
        &self,
        store: &Store,
        after: Option<String>,
    ) -> Result<TenantPage, TenancyError> {
        let limit = self.limit.unwrap_or(50).clamp(1, 200) as usize;
        let mut sql = "SELECT * FROM tenancy_tenant WHERE system = 0 AND deleted_at IS NULL".to_owned();
        let mut texts = Vec::new();
        let mut also = |condition: &str, text: String| {
            texts.push(text);
            sql += &format!(" AND {condition} ${}", texts.len());
        };
        if let Some(slug) = &self.slug {
            also("slug =", slug.to_string());
        }
        if let Some(status) = self.status {
            also("status =", status.as_str().to_owned());
        }
        if let Some(parent) = self.parent {
            also("parent =", parent.to_string());
        }
        let (beyond, way) = match self.direction {
            Direction::Asc => (">", "ASC"),
            Direction::Desc => ("<", "DESC"),
        };
        let mut instant = None;
        match (self.order, after) {
            (_, None) => {}
            (Order::Slug, Some(after)) => {
                let after: Slug = after.parse().map_err(|_| TenancyError::MalformedCursor)?;
                also(&format!("slug {beyond}"), after.into());
            }
            (Order::CreatedAt, Some(after)) => {
                let (micros, id) = after.split_once('_').ok_or(TenancyError::MalformedCursor)?;
                let micros: i64 = micros.parse().map_err(|_| TenancyError::MalformedCursor)?;
                let id = id.parse().map(TenantId).map_err(|_| TenancyError::MalformedCursor)?;
                instant = Some(micros);
                texts.push(id.to_string());
                let (id, micros) = (texts.len(), texts.len() + 1);
                sql += &format!(" AND (created_at, id) {beyond} (${micros}, ${id})");
            }
        }
        let order = match self.order {
            Order::Slug => format!("slug {way}"),
            Order::CreatedAt => format!("created_at {way}, id {way}"),
        };
        // One more than asked for tells whether there is another page.
        sql += &format!(" ORDER BY {order} LIMIT {}", limit + 1);
        let query = texts.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, text| query.bind(text));
        let query = if let Some(micros) = instant { query.bind(micros) } else { query };
        let rows = query.fetch_all(store.reader()).await?;
        let tenants = rows.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        let next = tenants.last().filter(|_| rows.len() > limit).map(|tenant| self.cursor(tenant));
        Ok(TenantPage { tenants, next })
    }

    fn cursor(&self, tenant: &Tenant) -> String {
        match self.order {
            Order::Slug => tenant.slug.to_string(),
            Order::CreatedAt => format!("{}_{}", tenant.created_at.as_microsecond(), tenant.id),
        }
    }
}
