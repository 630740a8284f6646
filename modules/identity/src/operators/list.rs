//! `identity.operators.list`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Identity, IdentityError, OPERATORS_READ, Operator, Reach,
    operator::{Account, normalized},
};

/// List operators by name, a page at a time: all of them, or those of the caller's own tenant.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.operators.list", Identity -> OperatorPage)]
#[access(permission = OPERATORS_READ)]
#[license(none)]
#[http(GET "/api/identity/v1/operators")]
pub struct ListOperators {
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most: 1 to 200, 50 when not stated.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
}

/// Some operators, by name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperatorPage {
    /// At most as many as were asked for.
    pub operators: Vec<Operator>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Handle<ListOperators> for Identity {
    async fn handle(&self, cx: &Cx, command: ListOperators) -> Result<OperatorPage, IdentityError> {
        let limit = command.limit.unwrap_or(50).clamp(1, 200) as usize;
        let (all, home) = match self.reach(cx)? {
            Reach::All => (1_i64, String::new()),
            Reach::Tenant(own) => (0, own.to_string()),
        };
        // One more than asked for tells whether there is another page.
        let rows = sqlx::query(
            "SELECT * FROM identity_operator WHERE name > $1 AND ($2 = 1 OR home = $3) ORDER BY name LIMIT $4",
        )
        .bind(command.after.as_deref().map(normalized).unwrap_or_default())
        .bind(all)
        .bind(home)
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(self.store.reader())
        .await?;
        let accounts = rows.iter().take(limit).map(Account::read);
        let operators = accounts.map(|read| Ok(read?.shown)).collect::<Result<Vec<_>, sqlx::Error>>()?;
        let next = operators.last().filter(|_| rows.len() > limit).map(|operator| operator.name.clone());
        Ok(OperatorPage { operators, next })
    }
}
