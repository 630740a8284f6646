use std::collections::{BTreeMap, BTreeSet};

use pipeline::Deciding;
use sdk::{
    descriptors::{
        catalog::{Catalog, ValueType},
        descriptor::{FeatureKey, QuotaKey},
        grant::{FeatureValue, Grant, Pattern, ProductGrant, Rules},
    },
    prelude::*,
};

/// What a baseline or a subscription grants, and what it denies. It counts as far as the license permits it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// Products by id.
    #[serde(default)]
    pub products: BTreeMap<String, ProductTerms>,
    /// Features by key, each with a value of its type.
    #[serde(default)]
    pub features: BTreeMap<String, FeatureValue>,
    /// Rules over entitlement keys, such as `chancery.tenancy.**`: what matches is granted, whatever its features.
    #[serde(default)]
    pub allow: Vec<Pattern>,
    /// Rules over entitlement keys: what matches is refused, whoever grants it.
    #[serde(default)]
    pub deny: Vec<Pattern>,
    /// Limits by quota key: units per window, or things that may exist at once. The larger of baseline and subscription
    /// counts.
    #[serde(default)]
    pub quotas: BTreeMap<String, u64>,
}

/// One product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductTerms {
    /// Its modules; all of them when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<BTreeSet<String>>,
}

/// Terms name things that this build does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build knows {}", .0.join(", "))]
pub struct TermsError(Vec<String>);

impl Terms {
    /// Refuses what names things that this build does not know, naming all of them. What was once saved is not asked
    /// again: a later build may know less, and what it does not know grants nothing.
    pub(crate) fn check(&self, deciding: &Deciding) -> Result<(), TermsError> {
        let catalog = deciding.catalog();
        let modules: BTreeSet<_> =
            deciding.registry().entries().map(|(_, entry)| entry.id().module()).collect();
        let mut unknown = Vec::new();
        for (id, product) in &self.products {
            if !catalog.products().any(|known| known.id == *id) {
                unknown.push(format!("no product `{id}`"));
            }
            let named = product.modules.iter().flatten().filter(|module| !modules.contains(module.as_str()));
            unknown.extend(named.map(|module| format!("no module `{module}`")));
        }
        unknown.extend(self.features.iter().filter_map(|(key, value)| feature_problem(catalog, key, value)));
        let quotas = self
            .quotas
            .keys()
            .filter(|key| QuotaKey::parse(key).ok().and_then(|key| catalog.quota(key)).is_none());
        unknown.extend(quotas.map(|key| format!("no quota `{key}`")));
        if unknown.is_empty() { Ok(()) } else { Err(TermsError(unknown)) }
    }

    /// As decisions read it.
    pub(crate) fn grant(&self) -> Grant {
        let products = self.products.iter().map(|(id, product)| {
            // An edition is a label of what was bought; nothing was bought here.
            let grant = ProductGrant { edition: String::new(), modules: product.modules.clone() };
            (id.clone(), grant)
        });
        Grant {
            products: products.collect(),
            features: self.features.clone(),
            commands: Rules { allow: self.allow.clone(), deny: self.deny.clone() },
            quotas: self.quotas.clone(),
        }
    }

    /// What it denies, and nothing that it grants.
    pub(crate) fn denials(&self) -> Option<Grant> {
        if self.deny.is_empty() {
            return None;
        }
        let mut grant = Grant::nothing();
        grant.commands.deny.clone_from(&self.deny);
        Some(grant)
    }
}

fn feature_problem(catalog: &Catalog, key: &str, value: &FeatureValue) -> Option<String> {
    match FeatureKey::parse(key).ok().and_then(|key| catalog.feature(key)) {
        None => Some(format!("no feature `{key}`")),
        Some(feature) if feature.value_type.takes(value) => None,
        Some(feature) => {
            let kind = match feature.value_type {
                ValueType::Boolean => "true or false",
                ValueType::Quota => "amounts",
                ValueType::Config => "texts",
            };
            Some(format!("only {kind} as values of feature `{key}`"))
        }
    }
}
