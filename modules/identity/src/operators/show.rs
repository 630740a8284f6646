//! `identity.operators.show`

use sdk::prelude::*;

use crate::{
    Identity, IdentityError, OPERATORS_READ, Operator,
    operator::{find, normalized},
};

/// Show one operator.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("identity.operators.show", Identity -> Operator)]
#[access(permission = OPERATORS_READ)]
#[license(none)]
#[http(GET "/api/identity/v1/operators/{name}")]
pub struct ShowOperator {
    /// The operator's name.
    pub name: String,
}

impl Handle<ShowOperator> for Identity {
    async fn handle(&self, cx: &Cx, command: ShowOperator) -> Result<Operator, IdentityError> {
        let reach = self.reach(cx)?;
        let account = find(self.store.reader(), &normalized(&command.name)).await?;
        let shown = account.map(|account| account.shown).filter(|shown| reach.covers(shown.home));
        shown.ok_or(IdentityError::NoSuchOperator)
    }
}
