//! `identity.operators.whoami`

use sdk::prelude::*;

use crate::{Identity, IdentityError};

/// Tell the caller who they are and what they may do.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("identity.operators.whoami", Identity -> Myself)]
#[access(authenticated)]
#[http(GET "/api/identity/v1/operators/me")]
pub struct WhoAmI {}

/// The caller, as the platform knows them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Myself {
    /// As the audit shows them.
    pub id: String,
    /// The tenant they belong to.
    pub home: Option<TenantId>,
    /// What they may do.
    pub permissions: Vec<String>,
    /// With how many factors they have shown who they are.
    pub aal: u8,
}

impl Handle<WhoAmI> for Identity {
    async fn handle(&self, cx: &Cx, _command: WhoAmI) -> Result<Myself, IdentityError> {
        let Principal::Authenticated(who) = cx.principal() else { return Err(IdentityError::NotAnOperator) };
        Ok(Myself {
            id: who.id.clone(),
            home: who.home,
            permissions: who.permissions.iter().map(|&name| name.to_owned()).collect(),
            aal: who.aal,
        })
    }
}
