//! What is missing: the policy for uncovered commands and the report on them (semantics section 8), for people
//! ([`CoverageReport::to_table`]) and for machines ([`CoverageReport::to_json`], [`CoverageReport::to_sarif`],
//! [`CoverageReport::to_junit`]).

mod junit;
mod sarif;
mod table;

pub use table::columns;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::descriptor::{CostWeight, ProtectionMode};

/// How this deployment treats commands that are not covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveragePolicy {
    /// Whether commands are enforced at all.
    pub enforced: bool,
    /// What happens to a gap.
    pub gaps: GapMode,
    /// Gaps that are meant, each with its reason.
    pub allowlist: Vec<AllowlistEntry>,
    /// Prefixes of command ids whose gaps are denied even in warn mode.
    pub hard_fail_prefixes: Vec<String>,
}

impl CoveragePolicy {
    /// Enforced, gaps denied, nothing excepted.
    pub const fn strict() -> Self {
        Self { enforced: true, gaps: GapMode::Deny, allowlist: Vec::new(), hard_fail_prefixes: Vec::new() }
    }

    /// The first allowlist entry that names the command.
    pub fn allowlisted(&self, command: &str) -> Option<&AllowlistEntry> {
        self.allowlist.iter().find(|entry| entry.names.matches(command))
    }

    /// The hard-fail prefix that the command stands under.
    pub fn hard_fails(&self, command: &str) -> Option<&str> {
        self.hard_fail_prefixes.iter().map(String::as_str).find(|prefix| command.starts_with(prefix))
    }
}

/// `license.command-enforcement.missing-descriptor-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GapMode {
    /// Logs the gap, reports it once, and lets the command run.
    Warn,
    /// Refuses the command.
    Deny,
}

/// A gap that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AllowlistEntry {
    /// Which commands.
    #[serde(flatten)]
    pub names: Allowlisted,
    /// Why they need no descriptor.
    pub reason: String,
}

/// Which commands an allowlist entry names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Allowlisted {
    /// One command.
    Id(String),
    /// All commands whose id begins so.
    Prefix(String),
}

impl Allowlisted {
    /// Whether the entry names this command.
    pub fn matches(&self, command: &str) -> bool {
        match self {
            Self::Id(id) => command == id,
            Self::Prefix(prefix) => command.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for Allowlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// Kinds of finding (semantics 8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FindingKind {
    /// A command without a contract.
    MissingContract,
    /// A contract without a license descriptor.
    MissingDescriptor,
    /// A descriptor that failed structural validation.
    MalformedDescriptor,
    /// Two commands claim one entitlement key.
    DuplicateEntitlementKey,
    /// A feature the catalog does not list.
    UnknownFeatureKey,
    /// A quota the catalog does not list, or lists with another kind.
    UnknownQuotaKey,
    /// A cardinality quota that nothing counts.
    MissingCardinalityProvider,
    /// An allowlist entry that names no gap.
    StaleAllowlistEntry,
    /// A feature that is sold and enforced nowhere.
    FeatureNeverRequired,
}

impl FindingKind {
    /// All of them, in the order of the semantics.
    pub const ALL: [Self; 9] = [
        Self::MissingContract,
        Self::MissingDescriptor,
        Self::MalformedDescriptor,
        Self::DuplicateEntitlementKey,
        Self::UnknownFeatureKey,
        Self::UnknownQuotaKey,
        Self::MissingCardinalityProvider,
        Self::StaleAllowlistEntry,
        Self::FeatureNeverRequired,
    ];

    /// As every surface spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingContract => "MISSING_CONTRACT",
            Self::MissingDescriptor => "MISSING_DESCRIPTOR",
            Self::MalformedDescriptor => "MALFORMED_DESCRIPTOR",
            Self::DuplicateEntitlementKey => "DUPLICATE_ENTITLEMENT_KEY",
            Self::UnknownFeatureKey => "UNKNOWN_FEATURE_KEY",
            Self::UnknownQuotaKey => "UNKNOWN_QUOTA_KEY",
            Self::MissingCardinalityProvider => "MISSING_CARDINALITY_PROVIDER",
            Self::StaleAllowlistEntry => "STALE_ALLOWLIST_ENTRY",
            Self::FeatureNeverRequired => "FEATURE_NEVER_REQUIRED",
        }
    }

    /// One sentence on it.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::MissingContract => "A command has no contract.",
            Self::MissingDescriptor => "A contract has no license descriptor.",
            Self::MalformedDescriptor => "A license descriptor failed structural validation.",
            Self::DuplicateEntitlementKey => "Two commands claim one entitlement key.",
            Self::UnknownFeatureKey => "A command requires a feature that the catalog does not list.",
            Self::UnknownQuotaKey => {
                "A command counts against a quota that the catalog does not list, or lists with another kind."
            }
            Self::MissingCardinalityProvider => "Nothing counts a cardinality quota that a command names.",
            Self::StaleAllowlistEntry => "An allowlist entry names no gap.",
            Self::FeatureNeverRequired => "A feature is sold and enforced nowhere.",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something the report says should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// The command id, key or allowlist entry it is about.
    pub subject: String,
    /// What is wrong and where.
    pub message: String,
}

/// Where one command stands (semantics 8.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Described and sound.
    Covered,
    /// Not described, and meant so.
    Allowlisted {
        /// Why.
        reason: String,
    },
    /// Not described.
    Gap {
        /// What is missing.
        kind: FindingKind,
    },
    /// Described, but wrong.
    Defect {
        /// What is wrong.
        kind: FindingKind,
    },
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandCoverage {
    /// Command id.
    pub id: String,
    /// Its module.
    pub module: String,
    /// Whether it has a contract.
    pub contract: bool,
    /// Whether the contract carries a sound descriptor.
    pub descriptor: bool,
    /// Its entitlement key.
    pub key: Option<String>,
    /// Its protection mode.
    pub mode: Option<ProtectionMode>,
    /// Features it requires.
    pub features: Vec<String>,
    /// Units a call draws.
    pub cost: Option<CostWeight>,
    /// Quotas it counts against.
    pub quotas: Vec<String>,
    /// Deployment shapes in which it is enforced.
    pub predicates: Vec<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CoverageReport {
    /// What happens to gaps in this deployment.
    pub missing_descriptor_mode: GapMode,
    /// Every command, by id.
    pub commands: Vec<CommandCoverage>,
    /// Everything that should be looked at.
    pub findings: Vec<Finding>,
}

impl CoverageReport {
    /// The findings that fail a build which refuses these kinds, under these prefixes of their subjects; without a prefix,
    /// anywhere.
    pub fn failing<'r>(
        &'r self,
        kinds: &'r [FindingKind],
        prefixes: &'r [String],
    ) -> impl Iterator<Item = &'r Finding> {
        self.findings.iter().filter(|finding| {
            let under = |prefix: &String| finding.subject.starts_with(prefix.as_str());
            kinds.contains(&finding.kind) && (prefixes.is_empty() || prefixes.iter().any(under))
        })
    }

    /// The whole report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and lists are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowlist_entry_names_an_id_or_a_prefix_and_its_reason() {
        let read = |text: &str| toml::from_str::<AllowlistEntry>(text);
        let entry = read("prefix = \"health.\"\nreason = \"liveness\"").unwrap();
        assert_eq!(entry.names, Allowlisted::Prefix("health.".into()));
        assert!(read("prefix = \"health.\"").is_err());
        assert!(read("reason = \"because\"").is_err());
    }

    #[test]
    fn kinds_are_spelled_one_way() {
        for kind in FindingKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
