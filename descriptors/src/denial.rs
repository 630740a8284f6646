//! Why not: one reason per denial, from a closed vocabulary (semantics 2.6).

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grant::LicenseStatus;

macro_rules! reasons {
    ($(#[doc = $summary:literal] $variant:ident = $text:literal,)*) => {
        /// The twelve reasons. Each has a page, which is also the help the command line prints for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $(#[doc = $summary] #[serde(rename = $text)] $variant,)*
        }

        impl Reason {
            /// All of them, in the order of the documentation.
            pub const ALL: [Self; 12] = [$(Self::$variant,)*];

            /// As every surface spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// One sentence on it, fit for any caller.
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary.trim_ascii(),)* }
            }

            /// The page that explains it, in Markdown.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../docs/denials/", $text, ".md")),)*
                }
            }
        }
    };
}

reasons! {
    /// The command requires a feature that this build does not know.
    UnknownFeatureKey = "UNKNOWN_FEATURE_KEY",
    /// The license permits the command, but it was not granted to this tenant.
    NotEntitled = "NOT_ENTITLED",
    /// A quota of the command is used up, or could not be established.
    QuotaExceeded = "QUOTA_EXCEEDED",
    /// The license does not permit the command.
    CeilingExceeded = "CEILING_EXCEEDED",
    /// A rule denies the command.
    CommandDenied = "COMMAND_DENIED",
    /// A party of the license could not be resolved.
    PartyResolutionFailed = "PARTY_RESOLUTION_FAILED",
    /// The command has no contract.
    MissingContract = "MISSING_CONTRACT",
    /// The command carries no license descriptor.
    MissingDescriptor = "MISSING_DESCRIPTOR",
    /// The license descriptor of the command is malformed.
    MalformedDescriptor = "MALFORMED_DESCRIPTOR",
    /// No license is installed.
    LicenseMissing = "LICENSE_MISSING",
    /// The license has expired.
    LicenseExpired = "LICENSE_EXPIRED",
    /// The installed license was refused.
    LicenseInvalid = "LICENSE_INVALID",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not one of the twelve reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a denial reason")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

/// A refusal, with what may be said about it: safe ids, never claims, tokens or keys (semantics 3.10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// The command that was refused.
    pub command: String,
    /// The key that was not granted, where the command has a descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entitlement_key: Option<String>,
    /// The rule, key or document part that decided.
    pub because: String,
    /// The license that was consulted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_id: Option<String>,
    /// This deployment.
    pub deployment_id: String,
    /// The state of the license when it was consulted.
    pub license_status: LicenseStatus,
    /// When an exhausted window resets, for a metered quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` denied with {}: {}", self.command, self.reason, self.because)
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_spelled_one_way_and_has_a_page_that_begins_with_it() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert!(reason.page().starts_with(&format!("# {reason}\n")), "{reason}");
        }
        assert!("NOT ENTITLED".parse::<Reason>().is_err());
    }
}
