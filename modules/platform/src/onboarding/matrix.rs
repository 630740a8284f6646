//! Which ways to a tenant are open, and if not, why (semantics 7.7).

use sdk::prelude::*;

/// What the license allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LicenseFacts {
    /// There is a license, and it can be used.
    pub usable: bool,
    /// It has `tenancy.self-signup.v1`.
    pub self_signup: bool,
    /// It has `tenancy.subtenants.v1`.
    pub subtenants: bool,
}

/// What is configured and decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts, each of its own")]
pub struct ConfigFacts {
    /// Operators register root tenants.
    pub root_tenant_creation: bool,
    /// Operators invite the owner of a new tenant.
    pub admin_invite: bool,
    /// Anybody may ask for a root tenant.
    pub self_signup: bool,
    /// Anybody may ask for a tenant beneath another.
    pub subtenant_signup: bool,
    /// E-mail can be sent, and links in it lead somewhere.
    pub email: bool,
    /// Somebody tells people from programs.
    pub challenge_verifier: bool,
}

/// What is so at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// The platform's own tenant is there.
    pub application_tenant: bool,
    /// E-mail is being delivered.
    pub email: bool,
}

/// Which ways to a tenant are open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// The platform's own tenant.
    pub application_tenant: RouteAvailability,
    /// An operator registers a root tenant.
    pub root_tenant_creation: RouteAvailability,
    /// An operator invites the owner of a tenant.
    pub admin_invite: RouteAvailability,
    /// Somebody asks for a root tenant.
    pub self_signup: RouteAvailability,
    /// Somebody asks for a tenant beneath another.
    pub subtenants: RouteAvailability,
    /// What all of them but the first need to tell people something.
    pub email: EmailAvailability,
}

/// Whether a way is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteAvailability {
    /// Whether it is.
    pub enabled: bool,
    /// If not, the first reason: `license_…` before `config_…` before `runtime_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether e-mail can be sent, and arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmailAvailability {
    /// There is a server to send it through.
    pub configured: bool,
    /// It takes what is sent.
    pub healthy: bool,
}

/// The matrix. Same facts, same answer.
pub fn availability(license: &LicenseFacts, config: &ConfigFacts, runtime: &RuntimeFacts) -> Availability {
    let licensed = ("license_missing", license.usable);
    let subtenants = ("license_missing_subtenants", license.subtenants);
    let self_signup = ("license_missing_self_signup", license.self_signup);
    let email = ("config_missing_email", config.email);
    let verifier = ("config_missing_challenge_verifier", config.challenge_verifier);
    let application = ("runtime_missing_application_tenant", runtime.application_tenant);
    let delivered = ("runtime_email_unhealthy", runtime.email);
    Availability {
        application_tenant: route(&[application]),
        root_tenant_creation: route(&[
            licensed,
            ("config_disabled_root_tenant_creation", config.root_tenant_creation),
            application,
        ]),
        admin_invite: route(&[
            licensed,
            ("config_disabled_admin_invite", config.admin_invite),
            email,
            application,
            delivered,
        ]),
        self_signup: route(&[
            licensed,
            self_signup,
            ("config_disabled_self_signup", config.self_signup),
            verifier,
            email,
            application,
            delivered,
        ]),
        subtenants: route(&[
            licensed,
            self_signup,
            subtenants,
            ("config_disabled_subtenant_signup", config.subtenant_signup),
            verifier,
            email,
            application,
            delivered,
        ]),
        email: EmailAvailability { configured: config.email, healthy: config.email && runtime.email },
    }
}

/// Open, when all of it is so; else closed for the first that is not.
fn route(asked: &[(&str, bool)]) -> RouteAvailability {
    let missing = asked.iter().find(|(_, so)| !so).map(|(reason, _)| (*reason).to_owned());
    RouteAvailability { enabled: missing.is_none(), reason: missing }
}
