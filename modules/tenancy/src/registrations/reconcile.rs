//! `tenancy.registrations.reconcile`

use std::time::Duration;

use sdk::{
    prelude::*,
    store::sqlx::{self, Row},
};

use crate::{TENANTS_WRITE, Tenancy, TenancyError, Text, tenant};

/// How many registrations one call looks at.
const AT_ONCE: i64 = 1000;

/// Undo registrations that nobody will bring to their end: those whose call is long over, and those that could not be
/// undone before. May be called again and again.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.registrations.reconcile", Tenancy -> Reconciled)]
#[access(permission = TENANTS_WRITE)]
#[license]
#[http(POST "/api/platform/admin/v1/tenants/registrations/reconcile")]
pub struct Reconcile {
    /// Only this registration.
    #[serde(default)]
    pub log_id: Option<Text<64>>,
    /// Only those of this tenant.
    #[serde(default)]
    pub tenant_id: Option<TenantId>,
}

/// What was found and done.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// How many registrations had come to no end.
    pub total_scanned: u32,
    /// How many of them are undone now.
    pub compensated: u32,
    /// How many are not.
    pub orphaned: u32,
    /// Why not.
    pub orphaned_failures: Vec<OrphanedFailure>,
}

/// Why a registration is not undone.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedFailure {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its own id.
    pub log_id: String,
    /// The step that could not be undone.
    pub step: String,
    /// The code of what went wrong.
    pub reason: String,
}

impl Handle<Reconcile> for Tenancy {
    async fn handle(&self, cx: &Cx, command: Reconcile) -> Result<Reconciled, TenancyError> {
        self.for_operators(cx)?;
        match (command.log_id, command.tenant_id) {
            (Some(_), Some(_)) => Err(TenancyError::NamedTwice),
            (Some(log), None) => self.reconcile(cx, "id = $2", log.into()).await,
            (None, Some(tenant)) => self.reconcile(cx, "tenant = $2", tenant.to_string()).await,
            (None, None) => self.reconcile(cx, EVERY, String::new()).await,
        }
    }
}

/// The condition of every registration.
const EVERY: &str = "id <> $2";

/// How long the registrations that one round finds may take to be undone.
const ROUND: Duration = Duration::from_mins(5);

impl Tenancy {
    /// Undoes registrations that nobody will bring to their end. Done twice, or by two replicas at once, it changes
    /// nothing more.
    pub async fn look_after(&self, ambient: &Ambient) -> Result<Reconciled, TenancyError> {
        let cx = Cx::new(ambient.clone(), Principal::System).with_timeout(ROUND);
        self.reconcile(&cx, EVERY, String::new()).await
    }

    async fn reconcile(
        &self,
        cx: &Cx,
        condition: &'static str,
        named: String,
    ) -> Result<Reconciled, TenancyError> {
        let sql = format!(
            "SELECT id, tenant FROM tenancy_registration
             WHERE (status = 'ORPHANED' OR (status = 'IN_FLIGHT' AND expires_at <= $1)) AND {condition}
             ORDER BY started_at LIMIT {AT_ONCE}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(cx.now().as_microsecond())
            .bind(named)
            .fetch_all(self.store.reader())
            .await?;
        let mut reconciled = Reconciled::default();
        for row in rows {
            let (log_id, tenant_id): (String, _) = (row.try_get("id")?, tenant::id(&row, "tenant")?);
            reconciled.total_scanned += 1;
            match self.compensate(cx, &log_id, tenant_id).await? {
                Ok(()) => reconciled.compensated += 1,
                Err(orphaned) => {
                    reconciled.orphaned += 1;
                    let (step, reason) = (orphaned.step.to_owned(), orphaned.reason);
                    reconciled.orphaned_failures.push(OrphanedFailure { tenant_id, log_id, step, reason });
                }
            }
        }
        Ok(reconciled)
    }
}
