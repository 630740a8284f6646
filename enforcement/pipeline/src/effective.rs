//! What is held in the end, `(baseline ∪ additions) ∩ ceiling` (semantics 2.3), written out for people, and what a
//! subscription would change of it.

use std::collections::{BTreeMap, BTreeSet};

use descriptors::{
    descriptor::QuotaKey,
    grant::{Ceiling, FeatureValue, Grant},
};
use kernel::TenantId;
use resolver::{Baseline, Question, decide};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandChange, Deciding, simulate::short, world::World};

/// What somebody holds in the end: features that are truthy, and limits above 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveSet {
    /// Features by key.
    pub features: BTreeMap<String, FeatureValue>,
    /// Limits by quota key.
    pub quotas: BTreeMap<String, u64>,
}

/// What a tenant would hold if it subscribed to something else. Nothing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionPreview {
    /// What it holds now; absent without a license service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<EffectiveSet>,
    /// What it would hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EffectiveSet>,
    /// Commands that would be decided otherwise, by id.
    pub commands: Vec<CommandChange>,
    /// How many commands would be decided as now.
    pub unchanged_commands: usize,
    /// Features and quotas of the subscription that the license does not permit, or not that far, by key: that part of it
    /// would wait for another license.
    pub beyond_license: Vec<String>,
}

impl Deciding {
    /// What a tenant, or the platform, holds now. Without a license service there is no telling.
    pub fn effective(&self, tenant: Option<TenantId>) -> Option<EffectiveSet> {
        let world = self.world();
        effective(&world, world.entitlements.additions(tenant))
    }

    /// What would change for a tenant with these additions in place of its own.
    pub fn preview(&self, tenant: TenantId, additions: &Grant) -> SubscriptionPreview {
        let world = self.world();
        let present = world.entitlements.additions(Some(tenant));
        let mut commands = Vec::new();
        let mut unchanged_commands = 0;
        for (index, entry) in self.registry().entries() {
            let question = self.question(index, Some(tenant), &world);
            let (old, new) =
                (decide(&question), decide(&Question { additions: Some(additions), ..question }));
            if old.verdict == new.verdict {
                unchanged_commands += 1;
            } else {
                let command = entry.id().as_str().to_owned();
                commands.push(CommandChange { command, before: short(old), after: short(new) });
            }
        }
        commands.sort_by(|one, other| one.command.cmp(&other.command));
        SubscriptionPreview {
            before: effective(&world, present),
            after: effective(&world, Some(additions)),
            commands,
            unchanged_commands,
            beyond_license: beyond(&world, additions),
        }
    }
}

fn effective(world: &World, additions: Option<&Grant>) -> Option<EffectiveSet> {
    let ceiling = match world.snapshot.ceiling() {
        Ceiling::Granted(grant) => grant,
        Ceiling::Unavailable(_) => {
            return Some(EffectiveSet { features: BTreeMap::new(), quotas: BTreeMap::new() });
        }
        Ceiling::Unenforced => return None,
    };
    let baseline = match world.entitlements.handed_on() {
        Baseline::WholeCeiling => ceiling,
        Baseline::Only(grant) => grant,
    };
    let features = ceiling.features.iter().filter_map(|(key, most)| {
        let added = additions.and_then(|grant| grant.features.get(key));
        let handed = either(baseline.features.get(key), added)?;
        Some((key.clone(), cut(handed, most))).filter(|(_, value)| value.is_truthy())
    });
    let quotas = ceiling.quotas.iter().filter_map(|(key, most)| {
        let quota = QuotaKey::parse(key).ok()?;
        let added = additions.map_or(0, |grant| grant.limit(quota));
        let limit = baseline.limit(quota).max(added).min(*most);
        (limit > 0).then(|| (key.clone(), limit))
    });
    Some(EffectiveSet { features: features.collect(), quotas: quotas.collect() })
}

/// The union of two values of one feature.
fn either(inherited: Option<&FeatureValue>, added: Option<&FeatureValue>) -> Option<FeatureValue> {
    let (inherited, added) = match (inherited, added) {
        (Some(inherited), Some(added)) => (inherited, added),
        (one, other) => return one.or(other).cloned(),
    };
    Some(match (inherited, added) {
        (FeatureValue::Quota(one), FeatureValue::Quota(other)) => FeatureValue::Quota(*one.max(other)),
        // A text of the tenant's own comes before the one that all inherit.
        (_, added) if added.is_truthy() => added.clone(),
        (inherited, _) => inherited.clone(),
    })
}

/// A value cut to what the license states.
fn cut(handed: FeatureValue, most: &FeatureValue) -> FeatureValue {
    match (&handed, most) {
        (FeatureValue::Quota(amount), FeatureValue::Quota(most)) => FeatureValue::Quota(*amount.min(most)),
        (_, most) if handed.is_truthy() && most.is_truthy() => match handed {
            FeatureValue::Config(_) => handed,
            FeatureValue::Boolean(_) | FeatureValue::Quota(_) => most.clone(),
        },
        _ => FeatureValue::Boolean(false),
    }
}

fn beyond(world: &World, additions: &Grant) -> Vec<String> {
    let ceiling = match world.snapshot.ceiling() {
        Ceiling::Granted(grant) => Some(grant),
        Ceiling::Unavailable(_) => None,
        Ceiling::Unenforced => return Vec::new(),
    };
    let held = |key: &String| ceiling.and_then(|grant| grant.features.get(key));
    let features = additions.features.iter().filter(|(key, value)| {
        let most = held(key).filter(|most| most.is_truthy());
        match (value, most) {
            (FeatureValue::Quota(wanted), Some(FeatureValue::Quota(most))) => wanted > most,
            (value, most) => value.is_truthy() && most.is_none(),
        }
    });
    let quotas = additions.quotas.iter().filter(|(key, wanted)| {
        let most = ceiling.and_then(|grant| grant.quotas.get(*key)).copied().unwrap_or(0);
        **wanted > most
    });
    let keys: BTreeSet<String> =
        features.map(|(key, _)| key.clone()).chain(quotas.map(|(key, _)| key.clone())).collect();
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_amount_wins_and_the_license_cuts_it() {
        use FeatureValue::Quota;
        assert_eq!(either(Some(&Quota(3)), Some(&Quota(5))), Some(Quota(5)));
        assert_eq!(either(Some(&Quota(7)), Some(&Quota(5))), Some(Quota(7)));
        assert_eq!(cut(Quota(7), &Quota(6)), Quota(6));
        assert_eq!(cut(Quota(5), &Quota(6)), Quota(5));
    }

    #[test]
    fn a_tenants_own_text_comes_first_and_an_empty_one_does_not() {
        let text = |text: &str| FeatureValue::Config(text.to_owned());
        assert_eq!(either(Some(&text("eu")), Some(&text("us"))), Some(text("us")));
        assert_eq!(either(Some(&text("eu")), Some(&text(""))), Some(text("eu")));
        assert_eq!(cut(text("us"), &text("eu")), text("us"));
        assert!(!cut(text("us"), &text("")).is_truthy());
    }

    #[test]
    fn what_only_one_side_holds_is_held_once_the_license_has_it() {
        let on = FeatureValue::Boolean(true);
        assert_eq!(either(None, Some(&on)), Some(on.clone()));
        assert_eq!(either(Some(&on), None), Some(on.clone()));
        assert_eq!(either(None, None), None);
        assert!(cut(on.clone(), &on).is_truthy());
        assert!(!cut(on, &FeatureValue::Boolean(false)).is_truthy());
    }
}
