//! `tenancy.onboarding.update`

use sdk::{prelude::*, store::sqlx};

use crate::{ONBOARDING_WRITE, OnboardingToggles, Tenancy, TenancyError, tenant::truncated, toggles};

/// Change the onboarding policy. What is not stated stays. Every replica follows within a second or two.
#[derive(Debug, Default, Command, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[command("tenancy.onboarding.update", Tenancy -> OnboardingToggles)]
#[access(permission = ONBOARDING_WRITE)]
#[license]
#[http(PUT "/api/platform/admin/v1/application/onboarding")]
pub struct UpdateOnboarding {
    /// Whether operators register root tenants.
    #[serde(default)]
    pub root_tenant_creation_enabled: Option<bool>,
    /// Whether administrators invite operators, a tenant's first one among them, by e-mail.
    #[serde(default)]
    pub admin_invite_enabled: Option<bool>,
    /// Whether anybody may ask for a root tenant of their own.
    #[serde(default)]
    pub self_signup_enabled: Option<bool>,
    /// Whether tenants are asked for, and made, beneath tenants by those who are no operators of the platform.
    #[serde(default)]
    pub subtenant_signup_enabled: Option<bool>,
    /// Whether somebody must approve what was asked for.
    #[serde(default)]
    pub require_approval_for_self_signup: Option<bool>,
}

impl Handle<UpdateOnboarding> for Tenancy {
    async fn handle(&self, cx: &Cx, command: UpdateOnboarding) -> Result<OnboardingToggles, TenancyError> {
        self.for_operators(cx)?;
        let stated = [
            ("root_tenant_creation_enabled", command.root_tenant_creation_enabled),
            ("admin_invite_enabled", command.admin_invite_enabled),
            ("self_signup_enabled", command.self_signup_enabled),
            ("subtenant_signup_enabled", command.subtenant_signup_enabled),
            ("require_approval_for_self_signup", command.require_approval_for_self_signup),
        ];
        let mut work = self.store.begin().await?;
        for (column, value) in stated.into_iter().filter_map(|(column, value)| Some((column, value?))) {
            let sql = format!("UPDATE tenancy_onboarding SET {column} = $1, updated_at = $2 WHERE id = 1");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(i64::from(value))
                .bind(truncated(cx.now()).as_microsecond())
                .execute(&mut *work)
                .await?;
        }
        let decided = toggles::read(&mut *work).await?;
        work.commit(cx).await?;
        self.settings.policy.take_over(decided.clone());
        Ok(decided)
    }
}
