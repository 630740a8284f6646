//! `tenancy.registrations.show`

use sdk::{prelude::*, store::sqlx};

use crate::{TENANTS_READ, Tenancy, TenancyError, Text, registration::RegistrationView};

/// Show what became of a registration, by the correlation id of the request that asked for it.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.registrations.show", Tenancy -> RegistrationView)]
#[access(permission = TENANTS_READ)]
#[license]
#[http(GET "/api/platform/admin/v1/tenant-onboarding/{correlationId}")]
pub struct ShowRegistration {
    /// What the answer to the registration carried in `x-correlation-id`. Of several, the latest is shown.
    pub correlation_id: Text<128>,
}

impl Handle<ShowRegistration> for Tenancy {
    async fn handle(&self, cx: &Cx, command: ShowRegistration) -> Result<RegistrationView, TenancyError> {
        self.for_operators(cx)?;
        let row = sqlx::query(
            "SELECT * FROM tenancy_registration WHERE correlation = $1 ORDER BY started_at DESC, id DESC LIMIT 1",
        )
        .bind(command.correlation_id.as_str())
        .fetch_optional(self.store.reader())
        .await?;
        let row = row.ok_or(TenancyError::NoSuchRegistration)?;
        let id: String = sqlx::Row::try_get(&row, "id")?;
        let steps =
            sqlx::query("SELECT * FROM tenancy_registration_step WHERE registration = $1 ORDER BY position")
                .bind(id)
                .fetch_all(self.store.reader())
                .await?;
        RegistrationView::read(&row, &steps)
    }
}
