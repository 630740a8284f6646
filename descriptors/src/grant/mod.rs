//! What is held: the entitlements a license, a baseline or a subscription states (semantics 2.3 and 2.4).

mod pattern;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::Error as _};

pub use pattern::{Pattern, PatternError, Rules};
pub use status::{Ceiling, CeilingUnavailable, LicenseStatus};

use crate::descriptor::{EntitlementKey, FeatureKey, QuotaKey};

/// A set of entitlements. In a license it is the ceiling; in a baseline or a subscription it is what is handed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Licensed products by id. A product that names no modules licenses all of them.
    pub products: BTreeMap<String, ProductGrant>,
    /// Features by key.
    #[serde(deserialize_with = "feature_values")]
    pub features: BTreeMap<String, FeatureValue>,
    /// Rules over entitlement keys.
    pub commands: Rules,
    /// Hard limits by quota key: units per window, or things that may exist at once.
    #[serde(deserialize_with = "quota_limits")]
    pub quotas: BTreeMap<String, u64>,
}

/// One licensed product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductGrant {
    /// The tier that was bought. Informative: the signed features and quotas decide.
    pub edition: String,
    /// Licensed modules; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<BTreeSet<String>>,
}

/// The value a grant gives a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FeatureValue {
    /// On or off.
    Boolean(bool),
    /// An amount.
    Quota(u64),
    /// A text the license supplies.
    Config(String),
}

impl FeatureValue {
    /// BOOLEAN true, QUOTA above 0, CONFIG non-empty (semantics 2.4).
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Boolean(on) => *on,
            Self::Quota(amount) => *amount > 0,
            Self::Config(text) => !text.is_empty(),
        }
    }
}

impl Grant {
    /// A grant that holds nothing.
    pub const fn nothing() -> Self {
        Self {
            products: BTreeMap::new(),
            features: BTreeMap::new(),
            commands: Rules::none(),
            quotas: BTreeMap::new(),
        }
    }

    /// Whether the product, and the module where the grant names modules, is licensed for this key.
    pub fn licenses(&self, key: EntitlementKey<'_>) -> bool {
        self.products
            .get(key.product())
            .is_some_and(|product| product.modules.as_ref().is_none_or(|named| named.contains(key.module())))
    }

    /// The first of `required` that is not truthy here.
    pub fn lacks<'k>(&self, required: &[FeatureKey<'k>]) -> Option<FeatureKey<'k>> {
        required
            .iter()
            .copied()
            .find(|key| !self.features.get(key.as_str()).is_some_and(FeatureValue::is_truthy))
    }

    /// The limit of a quota. A quota the grant does not name has none to give: 0.
    pub fn limit(&self, quota: QuotaKey<'_>) -> u64 {
        self.quotas.get(quota.as_str()).copied().unwrap_or(0)
    }
}

fn feature_values<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, FeatureValue>, D::Error> {
    let features = BTreeMap::<String, FeatureValue>::deserialize(deserializer)?;
    for key in features.keys() {
        FeatureKey::parse(key).map_err(|error| D::Error::custom(format!("feature key `{key}`: {error}")))?;
    }
    Ok(features)
}

fn quota_limits<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, u64>, D::Error> {
    let quotas = BTreeMap::<String, u64>::deserialize(deserializer)?;
    for key in quotas.keys() {
        QuotaKey::parse(key).map_err(|error| D::Error::custom(format!("quota key `{key}`: {error}")))?;
    }
    Ok(quotas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Grant, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_pattern_that_does_not_parse_makes_the_whole_grant_invalid() {
        let good =
            r#"{"products":{},"features":{},"quotas":{},"commands":{"allow":["chancery.**"],"deny":[]}}"#;
        assert!(read(good).is_ok());
        let error = read(&good.replace("chancery.**", "chancery.*")).unwrap_err().to_string();
        assert!(error.contains("chancery.*"), "{error}");
    }

    #[test]
    fn a_malformed_key_makes_the_whole_grant_invalid() {
        let features =
            r#"{"products":{},"features":{"Sub":true},"quotas":{},"commands":{"allow":[],"deny":[]}}"#;
        assert!(read(features).unwrap_err().to_string().contains("`Sub`"));
        let quotas = r#"{"products":{},"features":{},"quotas":{"max":1},"commands":{"allow":[],"deny":[]}}"#;
        assert!(read(quotas).unwrap_err().to_string().contains("`max`"));
    }

    #[test]
    fn truth_is_read_by_the_kind_of_value() {
        for (value, truthy) in [
            (FeatureValue::Boolean(true), true),
            (FeatureValue::Boolean(false), false),
            (FeatureValue::Quota(1), true),
            (FeatureValue::Quota(0), false),
            (FeatureValue::Config("eu".into()), true),
            (FeatureValue::Config(String::new()), false),
        ] {
            assert_eq!(value.is_truthy(), truthy, "{value:?}");
        }
    }

    #[test]
    fn a_product_that_names_modules_licenses_only_those() {
        let key = EntitlementKey::parse("chancery.tenancy.tenants.create").unwrap();
        let mut grant = Grant::nothing();
        assert!(!grant.licenses(key));
        grant.products.insert("chancery".into(), ProductGrant { edition: "pro".into(), modules: None });
        assert!(grant.licenses(key));
        grant.products.get_mut("chancery").unwrap().modules = Some(BTreeSet::from(["signup".into()]));
        assert!(!grant.licenses(key));
    }

    #[test]
    fn a_quota_that_is_not_granted_has_limit_zero() {
        assert_eq!(Grant::nothing().limit(QuotaKey::parse("tenants.root.max").unwrap()), 0);
    }
}
