//! A registration: a sequence of steps in a log.
//!
//! The steps of this module commit in one transaction, together with the log; a crash before leaves nothing. Only where
//! other modules have steps of their own does a registration stay in flight: the tenant is `PENDING_VERIFICATION` and may
//! not act until the last of them is done. If one fails, or the process dies, what was done is undone in reverse order, and
//! the tenant is removed as if it had never been.

mod compensation;
mod log;
mod steps;
mod view;

use sdk::prelude::*;

use crate::{Slug, Text};

pub(crate) use view::RegistrationView;

/// Who asked for a registration. Decided by who calls, never by what is said in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Source {
    /// An operator of the platform, or whoever administers the tenant above.
    Operator,
    /// Whoever wants the tenant, through the public signup.
    SelfSignup,
    /// The process itself, when the deployment is set up.
    Bootstrap,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "OPERATOR",
            Self::SelfSignup => "SELF_SIGNUP",
            Self::Bootstrap => "BOOTSTRAP",
        }
    }
}

/// The source of this call. Only the process itself can state one.
pub(crate) fn source(cx: &Cx, stated: Option<Source>) -> Source {
    match cx.principal() {
        Principal::System => stated.unwrap_or(Source::Bootstrap),
        Principal::Authenticated(_) | Principal::Anonymous => Source::Operator,
    }
}

/// What another module does for a new tenant before it is active. Both commands take `{"tenantId", "registrationId"}`, are
/// called by the process itself, and may be called again for the same registration.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What the log calls it, such as `owner-provisioned`.
    pub id: &'static str,
    /// The command that does it.
    pub run: &'static str,
    /// The command that undoes it, also where it was only begun; none, where there is nothing to undo.
    pub undo: Option<&'static str>,
}

/// A tenant to be registered.
pub(crate) struct Wanted {
    pub(crate) id: Option<TenantId>,
    pub(crate) slug: Slug,
    pub(crate) tenant_type: Option<Slug>,
    pub(crate) name: Option<Text<200>>,
    pub(crate) description: Option<Text<2000>>,
    pub(crate) parent: Option<TenantId>,
    pub(crate) source: Source,
}
