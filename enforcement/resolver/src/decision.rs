use std::fmt;

use descriptors::{
    coverage::{AllowlistEntry, GapMode},
    denial::Reason,
    descriptor::{DescriptorError, EntitlementKey, FeatureKey, ProtectionMode},
    grant::{CeilingUnavailable, Pattern},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An answer and what determined it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<'a> {
    /// The answer.
    pub verdict: Verdict,
    /// What determined it.
    pub because: Because<'a>,
}

/// Whether the command may run. What is allowed goes on to its quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is granted.
    Allowed,
    /// The license is not asked.
    Exempt(Exemption),
    /// It is refused.
    Denied(Reason),
}

/// Why the license is not asked. Skipping the gate is always one of these, never a bare `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exemption {
    /// `license.command-enforcement.enabled = false`.
    EnforcementOff,
    /// A gap that is meant, on the allowlist.
    Allowlisted,
    /// A gap in warn mode.
    WarnGap,
    /// The command's protection mode.
    Mode(ProtectionMode),
    /// This deployment is not of a shape in which the command is enforced.
    Shape,
    /// No license service is installed (semantics 2.9).
    NoLicenseService,
}

impl Exemption {
    /// As every surface spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EnforcementOff => "ENFORCEMENT_OFF",
            Self::Allowlisted => "ALLOWLISTED",
            Self::WarnGap => "WARN_GAP",
            Self::Mode(mode) => mode.as_str(),
            Self::Shape => "SHAPE",
            Self::NoLicenseService => "NO_LICENSE_SERVICE",
        }
    }
}

/// Where an entitlement or a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The license.
    License,
    /// The deployment's baseline.
    Baseline,
    /// The tenant's subscription.
    Additions,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::License => "the license",
            Self::Baseline => "the baseline",
            Self::Additions => "the tenant's subscription",
        })
    }
}

/// The rule, key or document part that decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Because<'a> {
    /// Enforcement is switched off.
    EnforcementOff,
    /// An allowlist entry names the command.
    Allowlist(&'a AllowlistEntry),
    /// The command stands under a hard-fail prefix.
    HardFail(&'a str),
    /// The mode for gaps.
    GapMode(GapMode),
    /// What is wrong with the descriptor.
    Defect(DescriptorError),
    /// The protection mode.
    Mode(ProtectionMode),
    /// The shape predicate key that this deployment contradicts.
    Shape(&'a str),
    /// There is no license service.
    NoLicenseService,
    /// There is no usable license.
    Ceiling(CeilingUnavailable),
    /// The catalog does not list the feature.
    UnknownFeature(FeatureKey<'static>),
    /// A deny rule matched.
    DenyRule(Source, &'a Pattern),
    /// An allow rule matched.
    AllowRule(Source, &'a Pattern),
    /// The product or module is not licensed.
    NotLicensed(Source, EntitlementKey<'static>),
    /// A required feature is not truthy.
    Lacks(Source, FeatureKey<'static>),
    /// The product is licensed and every required feature is truthy.
    Licensed(EntitlementKey<'static>),
}

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnforcementOff => f.write_str("`license.command-enforcement.enabled` is false"),
            Self::Allowlist(entry) => write!(f, "allowlist entry `{}`: {}", entry.names, entry.reason),
            Self::HardFail(prefix) => write!(f, "hard-fail prefix `{prefix}`"),
            Self::GapMode(GapMode::Warn) => f.write_str("`missing-descriptor-mode` is warn"),
            Self::GapMode(GapMode::Deny) => f.write_str("`missing-descriptor-mode` is deny"),
            Self::Defect(error) => error.fmt(f),
            Self::Mode(mode) => write!(f, "protection mode {}", mode.as_str()),
            Self::Shape(key) => write!(f, "enforced only for another `{key}` than this deployment's"),
            Self::NoLicenseService => f.write_str("no license service is installed"),
            Self::Ceiling(CeilingUnavailable::Missing) => f.write_str("no license is installed"),
            Self::Ceiling(CeilingUnavailable::Expired) => f.write_str("the license has expired"),
            Self::Ceiling(CeilingUnavailable::Invalid) => f.write_str("the license was refused"),
            Self::Ceiling(CeilingUnavailable::PartyUnresolved) => {
                f.write_str("a party of the license could not be resolved")
            }
            Self::UnknownFeature(key) => write!(f, "the catalog does not list feature `{key}`"),
            Self::DenyRule(source, pattern) => write!(f, "deny rule `{pattern}` of {source}"),
            Self::AllowRule(source, pattern) => write!(f, "allow rule `{pattern}` of {source}"),
            Self::NotLicensed(source, key) => {
                write!(f, "{source} grants no product `{}` with module `{}`", key.product(), key.module())
            }
            Self::Lacks(source, feature) => write!(f, "{source} does not grant feature `{feature}`"),
            Self::Licensed(key) => write!(f, "product `{}` with every required feature", key.product()),
        }
    }
}
