use std::{collections::BTreeSet, fmt, str::FromStr};

use sdk::prelude::*;

/// What an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May do everything.
    PlatformAdmin,
    /// May look at everything.
    PlatformAuditor,
    /// May do what concerns their own tenant.
    TenantAdmin,
}

impl Role {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform-admin",
            Self::PlatformAuditor => "platform-auditor",
            Self::TenantAdmin => "tenant-admin",
        }
    }

    /// Whether its operators belong to the application tenant; the others belong to a customer's.
    pub(crate) const fn is_of_platform(self) -> bool {
        !matches!(self, Self::TenantAdmin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::PlatformAdmin, Self::PlatformAuditor, Self::TenantAdmin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// Every permission that exists in a program. Roles are made of them.
#[derive(Clone, Debug)]
pub struct Permissions {
    all: BTreeSet<&'static str>,
    within_tenant: BTreeSet<&'static str>,
}

impl Permissions {
    /// These.
    pub fn of_program(permissions: impl IntoIterator<Item = Permission>) -> Self {
        let all = permissions.into_iter().map(Permission::as_str).collect();
        Self { all, within_tenant: BTreeSet::new() }
    }

    /// Of which these reach no further than the caller's own tenant: their commands see to it.
    #[must_use]
    pub fn within_tenant(mut self, permissions: impl IntoIterator<Item = Permission>) -> Self {
        self.within_tenant.extend(permissions.into_iter().map(Permission::as_str));
        self
    }

    /// What a role holds: an administrator everything, an auditor what ends in `.read`, a tenant's administrator what
    /// reaches no further than the tenant.
    pub(crate) fn of(&self, role: Role) -> BTreeSet<&'static str> {
        let held = self.all.iter().copied();
        match role {
            Role::PlatformAdmin => held.collect(),
            Role::PlatformAuditor => held.filter(|name| name.rsplit('.').next() == Some("read")).collect(),
            Role::TenantAdmin => held.filter(|name| self.within_tenant.contains(name)).collect(),
        }
    }
}
