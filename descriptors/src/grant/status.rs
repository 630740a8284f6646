use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Grant;
use crate::denial::Reason;

/// The state of the running license, as every surface spells it (semantics 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LicenseStatus {
    /// Verified and inside its validity.
    Active,
    /// No source is present.
    Missing,
    /// Past its expiry.
    Expired,
    /// Malformed, untrusted, bound to another installation, or not yet valid.
    Invalid,
    /// No license service is installed: there is no ceiling (semantics 2.9).
    Unenforced,
}

impl LicenseStatus {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Missing => "MISSING",
            Self::Expired => "EXPIRED",
            Self::Invalid => "INVALID",
            Self::Unenforced => "UNENFORCED",
        }
    }
}

/// What the license permits at most. Nothing outside it is ever granted.
#[derive(Clone, Copy, Debug)]
pub enum Ceiling<'a> {
    /// A usable license grants this.
    Granted(&'a Grant),
    /// There is a license service, but nothing it could grant from.
    Unavailable(CeilingUnavailable),
    /// There is no license service, so there is no ceiling (semantics 2.9).
    Unenforced,
}

/// Why no ceiling can be stated (semantics 2.2, step 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CeilingUnavailable {
    /// No license.
    Missing,
    /// Past its end.
    Expired,
    /// Refused.
    Invalid,
    /// Issuer, licensee or installation owner is unknown.
    PartyUnresolved,
}

impl CeilingUnavailable {
    /// The reason of the denials that follow.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::LicenseMissing,
            Self::Expired => Reason::LicenseExpired,
            Self::Invalid => Reason::LicenseInvalid,
            Self::PartyUnresolved => Reason::PartyResolutionFailed,
        }
    }
}
