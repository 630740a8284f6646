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
    /// Past its expiry, inside its grace.
    Grace,
    /// The source cannot be read; the license that was read last stands in for a while.
    Recovery,
    /// No source is present.
    Missing,
    /// Past its expiry, and past any grace.
    Expired,
    /// Malformed, untrusted, bound to another installation, or not yet valid.
    Invalid,
    /// The clock went back, so no license can be judged by it.
    Blocked,
    /// The vendor took back the certificate that signed it.
    Revoked,
    /// No license service is installed: there is no ceiling (semantics 2.9).
    Unenforced,
}

impl LicenseStatus {
    /// As documents spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Grace => "GRACE",
            Self::Recovery => "RECOVERY",
            Self::Missing => "MISSING",
            Self::Expired => "EXPIRED",
            Self::Invalid => "INVALID",
            Self::Blocked => "BLOCKED",
            Self::Revoked => "REVOKED",
            Self::Unenforced => "UNENFORCED",
        }
    }

    /// Whether a license in this state grants anything (semantics 2.2, step 6).
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Active | Self::Grace | Self::Recovery)
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
