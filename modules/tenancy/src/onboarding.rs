use sdk::prelude::*;

/// The policy that every registration names.
pub const ONBOARDING: GuardedBy = GuardedBy::policy("tenancy.onboarding");

/// Accepts only what the process itself registers at its first start (semantics 7.3). What is not decided otherwise is
/// refused.
#[derive(Clone, Copy, Debug)]
pub struct BootstrapOnly;

impl Guard for BootstrapOnly {
    fn admit(&self, cx: &Cx, _command: CommandId, _input: &Input) -> Result<(), Refusal> {
        match cx.principal() {
            Principal::System => Ok(()),
            Principal::Anonymous | Principal::Authenticated(_) => Err(refused()),
        }
    }
}

/// Accepts also what operators of the application tenant register.
#[derive(Clone, Copy, Debug)]
pub struct OperatorOnboarding {
    /// The application tenant.
    pub application: TenantId,
}

impl Guard for OperatorOnboarding {
    fn admit(&self, cx: &Cx, _command: CommandId, _input: &Input) -> Result<(), Refusal> {
        match cx.principal() {
            Principal::System => Ok(()),
            Principal::Authenticated(who) if who.home == Some(self.application) => Ok(()),
            Principal::Anonymous | Principal::Authenticated(_) => Err(refused()),
        }
    }
}

fn refused() -> Refusal {
    Refusal::new(
        "onboarding_refused",
        Category::Forbidden,
        "the onboarding policy does not accept this registration",
    )
}
