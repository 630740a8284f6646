use sdk::prelude::*;

use crate::{
    OnboardingPolicy, Source, children::create::CreateChild, registration::source,
    tenants::create::CreateTenant,
};

/// The policy that every registration names.
pub const ONBOARDING: GuardedBy = GuardedBy::policy("tenancy.onboarding");

/// Accepts only what the process itself registers at its first start (semantics 7.3). What is not decided otherwise is
/// refused.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapOnly;

impl Guard for BootstrapOnly {
    fn admit(&self, cx: &Cx, _command: CommandId, input: &Input) -> Result<(), Refusal> {
        match asked(cx, input) {
            Some(Asked { source: Source::Bootstrap, .. }) => Ok(()),
            _ => Err(refused()),
        }
    }
}

/// Accepts what the operators of this deployment have switched on.
#[derive(Clone, Debug)]
pub struct ToggledOnboarding {
    /// The tenant that operators belong to.
    pub application: TenantId,
    /// What they have decided.
    pub policy: OnboardingPolicy,
}

impl Guard for ToggledOnboarding {
    fn admit(&self, cx: &Cx, _command: CommandId, input: &Input) -> Result<(), Refusal> {
        let Some(asked) = asked(cx, input) else { return Err(refused()) };
        let decided = self.policy.current();
        let home = match cx.principal() {
            Principal::Authenticated(who) => who.home,
            Principal::Anonymous | Principal::System => None,
        };
        let is_operator = home == Some(self.application);
        let accepted = match (asked.source, asked.parent) {
            (Source::Bootstrap, _) => true,
            (Source::Operator, None) => is_operator && decided.root_tenant_creation_enabled,
            // Whoever administers a tenant adds directly beneath it, where that is switched on.
            (Source::Operator, Some(parent)) => {
                is_operator || (home == Some(parent) && decided.subtenant_signup_enabled)
            }
            (Source::SelfSignup, None) => decided.self_signup_enabled,
            (Source::SelfSignup, Some(_)) => decided.subtenant_signup_enabled,
        };
        if accepted { Ok(()) } else { Err(refused()) }
    }
}

/// What a registration asks for.
struct Asked {
    source: Source,
    parent: Option<TenantId>,
}

fn asked(cx: &Cx, input: &Input) -> Option<Asked> {
    let (parent, stated) = if let Some(root) = input.message::<CreateTenant>() {
        (None, root.source)
    } else if let Some(child) = input.message::<CreateChild>() {
        (Some(child.tenant_id), child.source)
    } else {
        return None;
    };
    Some(Asked { source: source(cx, stated), parent })
}

fn refused() -> Refusal {
    Refusal::new(
        "onboarding_refused",
        Category::Forbidden,
        "the onboarding policy does not accept this registration",
    )
}
