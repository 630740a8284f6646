use jiff::SignedDuration;
use sdk::prelude::TenantId;

/// What is asked of those who ask for a tenant: at the root, and beneath another.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `tenant.signup.platform.*`
    pub platform: Policy,
    /// `tenant.signup.children.*`
    pub children: Policy,
    /// How long a request is kept once it has come to its end.
    pub retention: SignedDuration,
}

/// What is asked of a request.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether people may ask at all.
    pub enabled: bool,
    /// Whether somebody must approve once the address is confirmed.
    pub require_approval: bool,
    /// How long a link works.
    pub token_ttl: SignedDuration,
    /// How often another link may be asked for.
    pub max_resends: u32,
    /// How many links one address may be sent in a window.
    pub per_email: u32,
    /// How many calls one network address may make in a window.
    pub per_address: u32,
    /// How long a window is. It begins with the first call in it.
    pub window: SignedDuration,
}

/// What operators have decided, as this process knows it. It narrows what the configuration offers, and widens nothing.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Whether people may ask for tenants at the root.
    pub self_signup: bool,
    /// Whether people may ask for tenants beneath others.
    pub subtenant_signup: bool,
    /// Whether somebody must approve, whatever the configuration says.
    pub require_approval: bool,
}

impl Settings {
    /// What counts for a request: the configuration, narrowed by what operators have decided.
    pub(crate) const fn beneath(&self, parent: Option<TenantId>, decided: Decided) -> Policy {
        let (policy, open) = match parent {
            Some(_) => (self.children, decided.subtenant_signup),
            None => (self.platform, decided.self_signup),
        };
        Policy {
            enabled: policy.enabled && open,
            require_approval: policy.require_approval || decided.require_approval,
            ..policy
        }
    }
}
