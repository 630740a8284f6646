use std::collections::{BTreeMap, BTreeSet};

use descriptors::{
    catalog::Catalog,
    coverage::{Allowlisted, CommandCoverage, CoveragePolicy, CoverageReport, Finding, FindingKind, Verdict},
    denial::Reason,
    descriptor::{LicenseDescriptor, MalformedDescriptor, QuotaKind},
};
use kernel::{Entry, Registry};
use quota::Providers;
use resolver::Described;

/// What a command's author stated about licensing.
pub fn described(entry: &Entry) -> Described<'static> {
    let Some(contract) = entry.contract() else { return Described::NoContract };
    if let Some(malformed) = contract.facet::<MalformedDescriptor>() {
        return Described::Malformed(malformed);
    }
    contract.facet::<LicenseDescriptor>().map_or(Described::NoDescriptor, Described::By)
}

/// The reason that a gap is denied with, where the command is one.
pub(crate) const fn gap(described: Described<'_>) -> Option<Reason> {
    match described {
        Described::NoContract => Some(Reason::MissingContract),
        Described::NoDescriptor => Some(Reason::MissingDescriptor),
        Described::Malformed(_) | Described::By(_) => None,
    }
}

/// Where every command stands, and what should be looked at (semantics section 8), in a program with these providers of
/// counts. Needs no server and no database.
pub fn coverage(
    registry: &Registry,
    catalog: &Catalog,
    policy: &CoveragePolicy,
    providers: &Providers,
) -> CoverageReport {
    let commands: Vec<_> = registry.entries().map(|(_, entry)| command_coverage(entry, policy)).collect();
    let mut findings: Vec<_> =
        registry.entries().flat_map(|(_, entry)| command_findings(entry, catalog, providers)).collect();
    // A gap that is meant is in the report, but nothing to look at.
    findings.retain(|finding| !is_gap(finding.kind) || policy.allowlisted(&finding.subject).is_none());
    findings.extend(duplicate_keys(registry));
    findings.extend(stale_entries(registry, policy));
    findings.extend(features_never_required(registry, catalog));
    findings.sort_by(|left, right| (left.kind, &left.subject).cmp(&(right.kind, &right.subject)));
    CoverageReport { missing_descriptor_mode: policy.gaps, commands, findings }
}

const fn is_gap(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::MissingContract | FindingKind::MissingDescriptor)
}

fn command_coverage(entry: &Entry, policy: &CoveragePolicy) -> CommandCoverage {
    let id = entry.id();
    let described = described(entry);
    let gap = |kind| match policy.allowlisted(id.as_str()) {
        Some(entry) => Verdict::Allowlisted { reason: entry.reason.clone() },
        None => Verdict::Gap { kind },
    };
    let verdict = match described {
        Described::By(_) => Verdict::Covered,
        Described::Malformed(_) => Verdict::Defect { kind: FindingKind::MalformedDescriptor },
        Described::NoContract => gap(FindingKind::MissingContract),
        Described::NoDescriptor => gap(FindingKind::MissingDescriptor),
    };
    let descriptor = match described {
        Described::By(descriptor) => Some(descriptor),
        _ => None,
    };
    let texts = |list: Option<Vec<String>>| list.unwrap_or_default();
    CommandCoverage {
        id: id.to_string(),
        module: id.module().to_owned(),
        contract: entry.contract().is_some(),
        descriptor: descriptor.is_some(),
        key: descriptor.map(|descriptor| descriptor.entitlement_key().to_string()),
        mode: descriptor.map(LicenseDescriptor::mode),
        features: texts(descriptor.map(|it| it.features().iter().map(ToString::to_string).collect())),
        cost: descriptor.map(LicenseDescriptor::cost),
        quotas: texts(descriptor.map(|it| it.quotas().iter().map(|quota| quota.key.to_string()).collect())),
        predicates: texts(descriptor.map(|it| it.predicates().iter().map(ToString::to_string).collect())),
        verdict,
    }
}

fn command_findings(entry: &Entry, catalog: &Catalog, providers: &Providers) -> Vec<Finding> {
    let id = entry.id().as_str();
    let finding = |kind, message: String| Finding { kind, subject: id.to_owned(), message };
    match described(entry) {
        Described::NoContract => {
            vec![finding(FindingKind::MissingContract, "the command has no contract".to_owned())]
        }
        Described::NoDescriptor => {
            let message =
                "the contract has no license descriptor; add `#[license(…)]` to the command".to_owned();
            vec![finding(FindingKind::MissingDescriptor, message)]
        }
        Described::Malformed(malformed) => {
            vec![finding(FindingKind::MalformedDescriptor, malformed.0.to_string())]
        }
        Described::By(descriptor) => {
            let features =
                descriptor.features().iter().filter(|key| catalog.feature(**key).is_none()).map(|key| {
                    let message = format!("requires feature `{key}`, which the catalog does not list");
                    finding(FindingKind::UnknownFeatureKey, message)
                });
            let counts = |key: &str| providers.keys().any(|counted| counted == key);
            let quotas = descriptor.quotas().iter().filter_map(|quota| {
                let key = quota.key;
                match catalog.quota(key) {
                    None => Some(finding(
                        FindingKind::UnknownQuotaKey,
                        format!("counts against quota `{key}`, which the catalog does not list"),
                    )),
                    Some(defined) if defined.kind != quota.kind => Some(finding(
                        FindingKind::UnknownQuotaKey,
                        format!("counts against quota `{key}` as another kind than the catalog lists"),
                    )),
                    Some(_) if quota.kind == QuotaKind::Cardinality && !counts(key.as_str()) => {
                        Some(finding(
                            FindingKind::MissingCardinalityProvider,
                            format!(
                                "nothing in this build counts quota `{key}`, so the command is always denied"
                            ),
                        ))
                    }
                    Some(_) => None,
                }
            });
            features.chain(quotas).collect()
        }
    }
}

fn sound(registry: &Registry) -> impl Iterator<Item = (&Entry, &'static LicenseDescriptor)> {
    registry.entries().filter_map(|(_, entry)| match described(entry) {
        Described::By(descriptor) => Some((entry, descriptor)),
        _ => None,
    })
}

fn duplicate_keys(registry: &Registry) -> Vec<Finding> {
    let mut claims = BTreeMap::<String, Vec<&str>>::new();
    for (entry, descriptor) in sound(registry) {
        claims.entry(descriptor.entitlement_key().to_string()).or_default().push(entry.id().as_str());
    }
    let claimed_twice = claims.into_iter().filter(|(_, commands)| commands.len() > 1);
    claimed_twice
        .map(|(key, commands)| Finding {
            kind: FindingKind::DuplicateEntitlementKey,
            message: format!("claimed by {}", commands.join(", ")),
            subject: key,
        })
        .collect()
}

/// Entries that name no gap: nothing of that name, or only commands that have a descriptor, which no entry weakens.
fn stale_entries(registry: &Registry, policy: &CoveragePolicy) -> Vec<Finding> {
    let gaps: Vec<_> = registry
        .entries()
        .filter(|(_, entry)| matches!(described(entry), Described::NoContract | Described::NoDescriptor))
        .map(|(_, entry)| entry.id().as_str())
        .collect();
    let names_a_gap = |names: &Allowlisted| gaps.iter().any(|id| names.matches(id));
    let stale = policy.allowlist.iter().filter(|entry| !names_a_gap(&entry.names));
    stale
        .map(|entry| Finding {
            kind: FindingKind::StaleAllowlistEntry,
            subject: entry.names.to_string(),
            message: format!("names no command without a descriptor (its reason: {})", entry.reason),
        })
        .collect()
}

fn features_never_required(registry: &Registry, catalog: &Catalog) -> Vec<Finding> {
    let required: BTreeSet<_> = sound(registry)
        .flat_map(|(_, descriptor)| descriptor.features())
        .map(descriptors::descriptor::FeatureKey::as_str)
        .collect();
    let idle = catalog.features().filter(|feature| !required.contains(feature.key.as_str()));
    idle.map(|feature| Finding {
        kind: FindingKind::FeatureNeverRequired,
        subject: feature.key.clone(),
        message: "listed in the catalog, but no command requires it".to_owned(),
    })
    .collect()
}
