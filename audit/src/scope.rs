use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;
use crate::event::fit;

const PLATFORM: &str = "platform";
const TENANT: &str = "tenant:";

/// Whom an event concerns; each has a chain of its own. As text `platform`, or `tenant:` and the tenant's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub enum Scope {
    /// The platform; no tenant.
    Platform,
    /// The tenant with this id.
    Tenant(String),
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `platform` nor `tenant:` and an id")]
pub struct UnknownScope(String);

impl Scope {
    /// The scope of an event.
    pub fn of(event: &Event) -> Self {
        event.tenant.clone().map_or(Self::Platform, Self::Tenant)
    }

    /// The tenant, or `None` for the platform.
    pub fn into_tenant(self) -> Option<String> {
        match self {
            Self::Platform => None,
            Self::Tenant(id) => Some(id),
        }
    }

    /// What the tables call it.
    pub(crate) fn key(&self) -> Cow<'static, str> {
        match self {
            Self::Platform => Cow::Borrowed(PLATFORM),
            Self::Tenant(id) => Cow::Owned(format!("{TENANT}{}", fit(id))),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text.strip_prefix(TENANT) {
            Some(id) => Ok(Self::Tenant(id.to_owned())),
            None if text == PLATFORM => Ok(Self::Platform),
            None => Err(UnknownScope(text.to_owned())),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(text: String) -> Result<Self, UnknownScope> {
        text.parse()
    }
}
