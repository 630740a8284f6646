use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use sdk::{
    prelude::*,
    store::sqlx::{self, Any, Executor, Row},
};

use crate::{TenancyError, tenant::maybe_instant};

/// What operators have decided about onboarding. It narrows what the license allows, and widens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "five switches, each a decision of its own")]
pub struct OnboardingToggles {
    /// Whether operators register root tenants.
    pub root_tenant_creation_enabled: bool,
    /// Whether administrators invite operators, a tenant's first one among them, by e-mail.
    pub admin_invite_enabled: bool,
    /// Whether anybody may ask for a root tenant of their own.
    pub self_signup_enabled: bool,
    /// Whether tenants are asked for, and made, beneath tenants by those who are no operators of the platform.
    pub subtenant_signup_enabled: bool,
    /// Whether somebody must approve what was asked for.
    pub require_approval_for_self_signup: bool,
    /// When this was last changed; never, when absent.
    pub updated_at: Option<Timestamp>,
}

/// The decisions as this process knows them, read without waiting. Clones share them.
#[derive(Clone, Debug)]
pub struct OnboardingPolicy(Arc<ArcSwap<OnboardingToggles>>);

impl OnboardingPolicy {
    /// Everything switched off, until something is known.
    pub fn closed() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(OnboardingToggles {
            root_tenant_creation_enabled: false,
            admin_invite_enabled: false,
            self_signup_enabled: false,
            subtenant_signup_enabled: false,
            require_approval_for_self_signup: true,
            updated_at: None,
        })))
    }

    /// What is decided now.
    pub fn current(&self) -> Arc<OnboardingToggles> {
        self.0.load_full()
    }

    pub(crate) fn take_over(&self, toggles: OnboardingToggles) {
        self.0.store(Arc::new(toggles));
    }
}

/// What the database says.
pub(crate) async fn read<'e>(
    executor: impl Executor<'e, Database = Any>,
) -> Result<OnboardingToggles, TenancyError> {
    let row = sqlx::query("SELECT * FROM tenancy_onboarding WHERE id = 1").fetch_one(executor).await?;
    let on = |column| row.try_get::<i64, _>(column).map(|value| value == 1);
    Ok(OnboardingToggles {
        root_tenant_creation_enabled: on("root_tenant_creation_enabled")?,
        admin_invite_enabled: on("admin_invite_enabled")?,
        self_signup_enabled: on("self_signup_enabled")?,
        subtenant_signup_enabled: on("subtenant_signup_enabled")?,
        require_approval_for_self_signup: on("require_approval_for_self_signup")?,
        updated_at: maybe_instant(&row, "updated_at")?,
    })
}

pub(crate) async fn refresh(store: &Store, policy: &OnboardingPolicy) -> Result<(), TenancyError> {
    policy.take_over(read(store.reader()).await?);
    Ok(())
}
