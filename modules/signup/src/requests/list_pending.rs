//! `signup.requests.list-pending`

use sdk::{prelude::*, store::sqlx};
use uuid::Uuid;

use crate::{
    SELF_SIGNUP, SIGNUPS_READ, Signup, SignupError, SignupView,
    request::{Reach, read},
};

/// List the requests that wait for approval, a page at a time. Operators of a tenant see who would stand beneath it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("signup.requests.list-pending", Signup -> PendingPage)]
#[access(permission = SIGNUPS_READ)]
#[license(features = [SELF_SIGNUP])]
#[http(GET "/api/platform/admin/v1/tenants/signup/pending")]
pub struct ListPending {
    /// Only those that would stand beneath this tenant.
    #[serde(default)]
    pub parent_tenant_id: Option<TenantId>,
    /// In which order; the oldest first when not stated.
    #[serde(default)]
    pub sort: Option<PendingSort>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<Uuid>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

/// An order of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PendingSort {
    /// The oldest first.
    CreatedAt,
    /// By address.
    Email,
}

/// Some requests that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingPage {
    /// At most as many as were asked for.
    pub requests: Vec<SignupView>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Uuid>,
}

// Ids are ordered by time.
const BY_AGE: &str = "SELECT * FROM signup_request
    WHERE status = 'PENDING_APPROVAL' AND ($1 = '' OR parent = $1) AND id > $2
    ORDER BY id LIMIT $3";
const BY_EMAIL: &str = "SELECT * FROM signup_request
    WHERE status = 'PENDING_APPROVAL' AND ($1 = '' OR parent = $1)
        AND ($2 = '' OR (email, id) > (SELECT email, id FROM signup_request WHERE id = $2))
    ORDER BY email, id LIMIT $3";

impl Handle<ListPending> for Signup {
    async fn handle(&self, cx: &Cx, command: ListPending) -> Result<PendingPage, SignupError> {
        let reach = self.reach(cx);
        let asked = command.parent_tenant_id;
        let parent = match (reach, asked) {
            (Reach::All, Some(tenant)) => Some(tenant.to_string()),
            // Who would stand beneath another tenant is not there.
            (Reach::Beneath(own), Some(tenant)) if tenant != own => None,
            _ => reach.parent(),
        };
        let Some(parent) = parent else { return Ok(PendingPage { requests: Vec::new(), next: None }) };
        let limit = command.limit.unwrap_or(50).clamp(1, 200) as usize;
        let query = match command.sort.unwrap_or(PendingSort::CreatedAt) {
            PendingSort::CreatedAt => BY_AGE,
            PendingSort::Email => BY_EMAIL,
        };
        // One more than asked for tells whether there is another page.
        let rows = sqlx::query(query)
            .bind(parent)
            .bind(command.after.map_or_else(String::new, |after| after.to_string()))
            .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
            .fetch_all(self.store.reader())
            .await?;
        let requests: Vec<SignupView> =
            rows.iter().take(limit).map(|row| read(row).map(SignupView::from)).collect::<Result<_, _>>()?;
        let next = requests.last().filter(|_| rows.len() > limit).map(|request| request.id);
        Ok(PendingPage { requests, next })
    }
}
