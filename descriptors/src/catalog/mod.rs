//! What is sold: features, quotas, products and editions this build knows (semantics section 1). Read-only; listing is
//! not granting.
//!
//! Each module contributes a slice, a TOML text beside its code:
//!
//! ```toml
//! [[feature]]
//! key = "tenancy.subtenants.v1"
//! type = "BOOLEAN"
//! description = "tenants beneath tenants"
//!
//! [[quota]]
//! key = "tenancy.exports.max"
//! kind = "METERED"
//! window = "P1D"
//! description = "exports of the tenant register"
//! ```

mod assemble;

use std::collections::BTreeMap;

use jiff::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use assemble::{CatalogError, CatalogSlice};

use crate::{
    descriptor::{FeatureKey, QuotaKey, QuotaKind},
    grant::{FeatureValue, Grant, ProductGrant, Rules},
};

/// Everything this build knows to sell. Made by [`Catalog::linked`] or [`Catalog::assemble`].
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Catalog {
    features: BTreeMap<String, Feature>,
    quotas: BTreeMap<String, QuotaDefinition>,
    products: BTreeMap<String, Product>,
}

/// One feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Feature {
    /// Its dotted, versioned key.
    pub key: String,
    /// What kind of value a grant gives it.
    #[serde(rename = "type")]
    pub value_type: ValueType,
    /// What it opens, for people.
    pub description: String,
}

/// The kinds of value a feature takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ValueType {
    /// On or off.
    Boolean,
    /// An amount.
    Quota,
    /// A text.
    Config,
}

impl ValueType {
    /// Whether a value is of this type.
    pub const fn takes(self, value: &FeatureValue) -> bool {
        matches!(
            (self, value),
            (Self::Boolean, FeatureValue::Boolean(_))
                | (Self::Quota, FeatureValue::Quota(_))
                | (Self::Config, FeatureValue::Config(_))
        )
    }
}

/// One quota.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QuotaDefinition {
    /// Its dotted key.
    pub key: String,
    /// How it measures.
    pub kind: QuotaKind,
    /// For a metered quota, the ISO-8601 period after which its window resets, such as `P1M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub window: Option<Span>,
    /// For a metered quota, when the charge sticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consume_on: Option<ConsumeOn>,
    /// What it counts, for people.
    pub description: String,
}

impl QuotaDefinition {
    /// When the charge sticks; on success unless the catalog says otherwise (semantics 5.2).
    pub fn consume_on(&self) -> ConsumeOn {
        self.consume_on.unwrap_or(ConsumeOn::Success)
    }
}

/// When a charge sticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConsumeOn {
    /// Only when the command succeeds.
    Success,
    /// As soon as it was let in.
    Attempt,
}

/// One product with its editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Product {
    /// The first segment of its entitlement keys.
    pub id: String,
    /// For people.
    pub name: String,
    /// The certificate policy (RFC 5280, 4.2.1.4) that a partner's authority asserts to sign for this product, as a dotted
    /// object identifier. A product without one is for no partner (semantics 3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// From small to large.
    #[serde(rename = "edition", default)]
    pub editions: Vec<Edition>,
}

/// A tier of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Edition {
    /// Unique within its product.
    pub id: String,
    /// For people.
    pub name: String,
    /// An edition listed before, whose features and quotas this one includes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Features it adds, with their values.
    #[serde(default)]
    pub features: BTreeMap<String, FeatureValue>,
    /// Limits it sets; they replace those of the edition it extends.
    #[serde(default)]
    pub quotas: BTreeMap<String, u64>,
}

impl Catalog {
    /// A feature by key.
    pub fn feature(&self, key: FeatureKey<'_>) -> Option<&Feature> {
        self.features.get(key.as_str())
    }

    /// A quota by key.
    pub fn quota(&self, key: QuotaKey<'_>) -> Option<&QuotaDefinition> {
        self.quotas.get(key.as_str())
    }

    /// All features, by key.
    pub fn features(&self) -> impl Iterator<Item = &Feature> {
        self.features.values()
    }

    /// All quotas, by key.
    pub fn quotas(&self) -> impl Iterator<Item = &QuotaDefinition> {
        self.quotas.values()
    }

    /// All products, by id.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.values()
    }

    /// What a purchase of an edition holds, written out as a grant. Minting does this once; afterwards the signed grant
    /// is authoritative, whatever the catalog becomes.
    pub fn expand(&self, product: &str, edition: &str) -> Option<Grant> {
        let editions = &self.products.get(product)?.editions;
        let mut lineage = Vec::new();
        let mut next = Some(edition);
        while let Some(id) = next {
            let found = editions.iter().find(|edition| edition.id == id)?;
            lineage.push(found);
            next = found.extends.as_deref();
        }
        let mut grant = Grant {
            products: BTreeMap::from([(
                product.to_owned(),
                ProductGrant { edition: edition.to_owned(), modules: None },
            )]),
            features: BTreeMap::new(),
            commands: Rules::none(),
            quotas: BTreeMap::new(),
        };
        for edition in lineage.into_iter().rev() {
            grant.features.extend(edition.features.clone());
            grant.quotas.extend(edition.quotas.clone());
        }
        Some(grant)
    }
}
