//! Semantics section 2 a second time: slow, plain, and written from the text alone. It builds the effective set as a
//! document, takes rules apart as strings, and shares nothing with the resolver but the types of its inputs.

use std::collections::{BTreeMap, BTreeSet};

use chancery_resolver::{Baseline, Described, Exemption, Question, Verdict};
use descriptors::{
    coverage::{Allowlisted, GapMode},
    denial::Reason,
    descriptor::{LicenseDescriptor, ProtectionMode},
    grant::{Ceiling, CeilingUnavailable, FeatureValue, Grant},
};

/// The answer, and the number of the step that gave it.
pub(crate) fn answer(question: &Question<'_>) -> (usize, Verdict) {
    // 1.
    if !question.policy.enforced {
        return (1, Verdict::Exempt(Exemption::EnforcementOff));
    }
    // 2 and 3.
    let descriptor = match question.described {
        Described::NoContract => return (2, gap(question, Reason::MissingContract)),
        Described::NoDescriptor => return (2, gap(question, Reason::MissingDescriptor)),
        Described::Malformed(_) => return (3, Verdict::Denied(Reason::MalformedDescriptor)),
        Described::By(descriptor) => descriptor,
    };
    // 4.
    if descriptor.mode() != ProtectionMode::Licensed {
        return (4, Verdict::Exempt(Exemption::Mode(descriptor.mode())));
    }
    // 5.
    if !shape_is_enforced(question, descriptor) {
        return (5, Verdict::Exempt(Exemption::Shape));
    }
    // 6.
    let license = match question.ceiling {
        Ceiling::Granted(grant) => grant,
        Ceiling::Unenforced => return (6, Verdict::Exempt(Exemption::NoLicenseService)),
        Ceiling::Unavailable(CeilingUnavailable::Missing) => {
            return (6, Verdict::Denied(Reason::LicenseMissing));
        }
        Ceiling::Unavailable(CeilingUnavailable::Expired) => {
            return (6, Verdict::Denied(Reason::LicenseExpired));
        }
        Ceiling::Unavailable(CeilingUnavailable::Invalid) => {
            return (6, Verdict::Denied(Reason::LicenseInvalid));
        }
        Ceiling::Unavailable(CeilingUnavailable::PartyUnresolved) => {
            return (6, Verdict::Denied(Reason::PartyResolutionFailed));
        }
    };
    // 7.
    let sold: BTreeSet<String> = question.catalog.features().map(|feature| feature.key.clone()).collect();
    if descriptor.features().iter().any(|key| !sold.contains(&key.to_string())) {
        return (7, Verdict::Denied(Reason::UnknownFeatureKey));
    }
    // 8.
    let key = descriptor.entitlement_key().to_string();
    let ceiling = Document::of(license);
    let effective = effective(question, &ceiling, descriptor);
    if effective.deny.iter().any(|rule| rule_matches(rule, &key)) {
        return (8, Verdict::Denied(Reason::CommandDenied));
    }
    // 9.
    if !ceiling.grants(descriptor) {
        return (9, Verdict::Denied(Reason::CeilingExceeded));
    }
    // 10.
    if !effective.grants(descriptor) {
        return (10, Verdict::Denied(Reason::NotEntitled));
    }
    // 11.
    (10, Verdict::Allowed)
}

/// What a tenant, and the whole deployment, may use of a quota.
pub(crate) fn limits(question: &Question<'_>, quota: &str) -> Option<(u64, u64)> {
    match question.ceiling {
        Ceiling::Unenforced => None,
        Ceiling::Unavailable(_) => Some((0, 0)),
        Ceiling::Granted(license) => {
            let ceiling = Document::of(license);
            let of = |document: &Document| document.quotas.get(quota).copied().unwrap_or(0);
            let handed_on = handed_on(question, &ceiling);
            Some((of(&handed_on).min(of(&ceiling)), of(&ceiling)))
        }
    }
}

fn gap(question: &Question<'_>, reason: Reason) -> Verdict {
    let allowlisted = question.policy.allowlist.iter().any(|entry| match &entry.names {
        Allowlisted::Id(id) => question.command == id,
        Allowlisted::Prefix(prefix) => question.command.starts_with(prefix),
    });
    if allowlisted {
        return Verdict::Exempt(Exemption::Allowlisted);
    }
    let hard = question.policy.hard_fail_prefixes.iter().any(|prefix| question.command.starts_with(prefix));
    if hard || question.policy.gaps == GapMode::Deny {
        return Verdict::Denied(reason);
    }
    Verdict::Exempt(Exemption::WarnGap)
}

fn shape_is_enforced(question: &Question<'_>, descriptor: &LicenseDescriptor) -> bool {
    let mut alternatives = BTreeMap::<String, Vec<String>>::new();
    for predicate in descriptor.predicates() {
        let text = predicate.to_string();
        let (key, value) = text.split_once('=').unwrap();
        alternatives.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    alternatives.iter().all(|(key, values)| match question.shape.fact(key) {
        None => true,
        Some(stated) => values.iter().any(|value| value == stated),
    })
}

/// A set of entitlements, written out.
#[derive(Clone)]
struct Document {
    /// Per product its modules, or `None` for all of them.
    products: BTreeMap<String, Option<BTreeSet<String>>>,
    features: BTreeMap<String, FeatureValue>,
    allow: Vec<String>,
    deny: Vec<String>,
    quotas: BTreeMap<String, u64>,
}

impl Document {
    fn of(grant: &Grant) -> Self {
        let product = |(id, product): (&String, &descriptors::grant::ProductGrant)| {
            (id.clone(), product.modules.clone())
        };
        Self {
            products: grant.products.iter().map(product).collect(),
            features: grant.features.clone(),
            allow: grant.commands.allow.iter().map(ToString::to_string).collect(),
            deny: grant.commands.deny.iter().map(ToString::to_string).collect(),
            quotas: grant.quotas.clone(),
        }
    }

    /// 2.4: a rule allows the key, or product and module are licensed and every feature is truthy.
    fn grants(&self, descriptor: &LicenseDescriptor) -> bool {
        let key = descriptor.entitlement_key().to_string();
        let segments: Vec<&str> = key.split('.').collect();
        let licensed = match self.products.get(segments[0]) {
            None => false,
            Some(None) => true,
            Some(Some(modules)) => modules.contains(segments[1]),
        };
        let features = descriptor
            .features()
            .iter()
            .all(|feature| self.features.get(&feature.to_string()).is_some_and(truthy));
        self.allow.iter().any(|rule| rule_matches(rule, &key)) || (licensed && features)
    }
}

fn truthy(value: &FeatureValue) -> bool {
    match value {
        FeatureValue::Boolean(on) => *on,
        FeatureValue::Quota(amount) => *amount > 0,
        FeatureValue::Config(text) => !text.is_empty(),
    }
}

/// 2.3: baseline and additions together.
fn handed_on(question: &Question<'_>, ceiling: &Document) -> Document {
    let mut all = match question.baseline {
        Baseline::WholeCeiling => ceiling.clone(),
        Baseline::Only(grant) => Document::of(grant),
    };
    let Some(additions) = question.additions else { return all };
    let additions = Document::of(additions);
    for (id, modules) in additions.products {
        let together = match (all.products.remove(&id), modules) {
            (None, modules) => modules,
            (Some(Some(mine)), Some(theirs)) => Some(mine.union(&theirs).cloned().collect()),
            (Some(None), _) | (Some(_), None) => None,
        };
        all.products.insert(id, together);
    }
    for (key, value) in additions.features {
        let held = all.features.get(&key).is_some_and(truthy);
        if !held {
            all.features.insert(key, value);
        }
    }
    all.allow.extend(additions.allow);
    all.deny.extend(additions.deny);
    for (key, limit) in additions.quotas {
        let larger = all.quotas.get(&key).copied().unwrap_or(0).max(limit);
        all.quotas.insert(key, larger);
    }
    all
}

/// 2.3: what is handed on, cut to the ceiling. The allow rules are cut key by key, which for the one key that is asked
/// about is itself or nothing.
fn effective(question: &Question<'_>, ceiling: &Document, descriptor: &LicenseDescriptor) -> Document {
    let handed_on = handed_on(question, ceiling);
    let key = descriptor.entitlement_key().to_string();
    let mut cut = Document {
        products: BTreeMap::new(),
        features: BTreeMap::new(),
        allow: Vec::new(),
        deny: [ceiling.deny.clone(), handed_on.deny].concat(),
        quotas: BTreeMap::new(),
    };
    for (id, modules) in handed_on.products {
        match (modules, ceiling.products.get(&id)) {
            (_, None) => {}
            (modules, Some(None)) => {
                cut.products.insert(id, modules);
            }
            (None, Some(Some(permitted))) => {
                cut.products.insert(id, Some(permitted.clone()));
            }
            (Some(modules), Some(Some(permitted))) => {
                cut.products.insert(id, Some(modules.intersection(permitted).cloned().collect()));
            }
        }
    }
    for (feature, value) in handed_on.features {
        if ceiling.features.get(&feature).is_some_and(truthy) {
            cut.features.insert(feature, value);
        }
    }
    if handed_on.allow.iter().any(|rule| rule_matches(rule, &key)) && ceiling.grants(descriptor) {
        cut.allow.push(key);
    }
    for (quota, limit) in handed_on.quotas {
        if let Some(most) = ceiling.quotas.get(&quota) {
            cut.quotas.insert(quota, limit.min(*most));
        }
    }
    cut
}

/// 2.5, on texts.
pub(crate) fn rule_matches(rule: &str, key: &str) -> bool {
    let (rule, rule_rest) = rule.split_once('.').unwrap_or((rule, ""));
    let (segment, key_rest) = key.split_once('.').unwrap_or((key, ""));
    if segment.is_empty() || rule.is_empty() {
        return segment.is_empty() && rule.is_empty();
    }
    if rule == "**" {
        return true;
    }
    let fits = if rule == "*" {
        true
    } else if rule.starts_with('{') {
        rule.trim_matches(['{', '}']).split(',').any(|word| word == segment)
    } else {
        rule == segment
    };
    fits && rule_matches(rule_rest, key_rest)
}
