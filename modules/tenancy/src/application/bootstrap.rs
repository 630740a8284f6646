//! `tenancy.application.bootstrap`

use sdk::{prelude::*, store::sqlx};

use crate::{
    Slug, Tenancy, TenancyError, Tenant,
    tenant::{Registration, read, register},
};

/// Make sure that the application tenant exists.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[command("tenancy.application.bootstrap", Tenancy -> Tenant)]
#[access(internal)]
#[license(internal_system)]
pub struct BootstrapApplication {
    /// Its name in addresses, if it has to be made.
    pub slug: Slug,
}

impl Handle<BootstrapApplication> for Tenancy {
    async fn handle(&self, cx: &Cx, command: BootstrapApplication) -> Result<Tenant, TenancyError> {
        let mut work = self.store.begin().await?;
        let present =
            sqlx::query("SELECT * FROM tenancy_tenant WHERE system = 1").fetch_optional(&mut *work).await?;
        if let Some(row) = present {
            return Ok(read(&row)?);
        }
        let wanted = Registration { slug: command.slug, name: None, parent: None, system: true };
        let tenant = register(&mut work, cx, wanted).await?;
        work.commit().await?;
        Ok(tenant)
    }
}
