use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Catalog, ConsumeOn, Feature, Product, QuotaDefinition, ValueType};
use crate::descriptor::{EntitlementKey, FeatureKey, KeyError, QuotaKey, QuotaKind};

/// A part of the catalog, contributed by a module at link time: `inventory::submit!(CatalogSlice::new("tenancy",
/// include_str!("../catalog.toml")))`.
#[derive(Clone, Copy, Debug)]
pub struct CatalogSlice {
    source: &'static str,
    text: &'static str,
}

inventory::collect!(CatalogSlice);

impl CatalogSlice {
    /// A slice and the name that errors call it by.
    pub const fn new(source: &'static str, text: &'static str) -> Self {
        Self { source, text }
    }
}

/// Why the catalog cannot be assembled. Each error names the slice.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The slice is not the TOML it should be.
    #[error("failed to read catalog slice `{source_name}`")]
    Syntax {
        /// The slice.
        source_name: String,
        /// Where and why.
        #[source]
        error: Box<toml::de::Error>,
    },
    /// A key does not parse.
    #[error("catalog slice `{source_name}`: key `{key}`: {error}")]
    Key {
        /// The slice.
        source_name: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// The policy of a product is not a dotted object identifier, or stands for all policies.
    #[error(
        "catalog slice `{source_name}`: policy `{policy}` of product `{product}` is not a dotted object identifier of one policy"
    )]
    Policy {
        /// The slice.
        source_name: String,
        /// The product.
        product: String,
        /// What it states.
        policy: String,
    },
    /// Two slices define one thing.
    #[error("catalog slice `{source_name}` defines `{what}` again; `{first}` defined it before")]
    Duplicate {
        /// The later slice.
        source_name: String,
        /// What is defined twice.
        what: String,
        /// The earlier slice.
        first: String,
    },
    /// An edition refers to something no slice defines.
    #[error(
        "catalog slice `{source_name}`: edition `{edition}` refers to {kind} `{name}`, which no slice defines before it"
    )]
    Unknown {
        /// The slice.
        source_name: String,
        /// The edition as `{product}/{edition}`.
        edition: String,
        /// Feature, quota or edition.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A value does not fit the type of its feature.
    #[error(
        "catalog slice `{source_name}`: edition `{edition}` gives feature `{feature}` a value that is not {expected:?}"
    )]
    ValueType {
        /// The slice.
        source_name: String,
        /// The edition as `{product}/{edition}`.
        edition: String,
        /// The feature.
        feature: String,
        /// The declared type.
        expected: ValueType,
    },
    /// A metered quota without a window, or a cardinality quota with what only metered ones have.
    #[error("catalog slice `{source_name}`: quota `{key}` {problem}")]
    Quota {
        /// The slice.
        source_name: String,
        /// The quota.
        key: String,
        /// What is wrong.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slice {
    #[serde(rename = "feature", default)]
    features: Vec<Feature>,
    #[serde(rename = "quota", default)]
    quotas: Vec<QuotaDefinition>,
    #[serde(rename = "product", default)]
    products: Vec<Product>,
}

impl Catalog {
    /// The catalog of everything linked into this program.
    pub fn linked() -> Result<Self, CatalogError> {
        Self::linked_and([])
    }

    /// The catalog of everything linked into this program, and of a deployment's own slices, each a name and a TOML text.
    /// What a deployment defines may refer to what modules define, and must not define it again.
    pub fn linked_and<'s>(
        deployed: impl IntoIterator<Item = (&'s str, &'s str)>,
    ) -> Result<Self, CatalogError> {
        let mut slices: Vec<_> =
            inventory::iter::<CatalogSlice>.into_iter().map(|slice| (slice.source, slice.text)).collect();
        slices.sort_unstable();
        Self::assemble(slices.into_iter().chain(deployed))
    }

    /// The catalog of these slices, each a name and a TOML text. Duplicates and unknown references are refused.
    pub fn assemble<'s>(slices: impl IntoIterator<Item = (&'s str, &'s str)>) -> Result<Self, CatalogError> {
        let mut owners = BTreeMap::new();
        let mut catalog =
            Self { features: BTreeMap::new(), quotas: BTreeMap::new(), products: BTreeMap::new() };
        for (source, text) in slices {
            let slice: Slice = toml::from_str(text).map_err(|error| CatalogError::Syntax {
                source_name: source.to_owned(),
                error: Box::new(error),
            })?;
            let mut own = |what: String| match owners.insert(what.clone(), source) {
                None => Ok(()),
                Some(first) => Err(CatalogError::Duplicate {
                    source_name: source.to_owned(),
                    what,
                    first: first.to_owned(),
                }),
            };
            let key_error = |key: &str, error| CatalogError::Key {
                source_name: source.to_owned(),
                key: key.to_owned(),
                error,
            };
            for feature in slice.features {
                FeatureKey::parse(&feature.key).map_err(|error| key_error(&feature.key, error))?;
                own(format!("feature {}", feature.key))?;
                catalog.features.insert(feature.key.clone(), feature);
            }
            for quota in slice.quotas {
                QuotaKey::parse(&quota.key).map_err(|error| key_error(&quota.key, error))?;
                own(format!("quota {}", quota.key))?;
                if let Some(problem) = quota_problem(&quota) {
                    return Err(CatalogError::Quota {
                        source_name: source.to_owned(),
                        key: quota.key,
                        problem,
                    });
                }
                catalog.quotas.insert(quota.key.clone(), quota);
            }
            for product in slice.products {
                EntitlementKey::of(&product.id, "any.any.any")
                    .map_err(|error| key_error(&product.id, error))?;
                own(format!("product {}", product.id))?;
                if let Some(policy) = &product.policy {
                    if !is_object_identifier(policy) || policy == ANY_POLICY {
                        return Err(CatalogError::Policy {
                            source_name: source.to_owned(),
                            product: product.id,
                            policy: policy.clone(),
                        });
                    }
                    own(format!("policy {policy}"))?;
                }
                for edition in &product.editions {
                    own(format!("edition {}/{}", product.id, edition.id))?;
                }
                catalog.products.insert(product.id.clone(), product);
            }
        }
        catalog.check_editions(&owners)?;
        Ok(catalog)
    }

    fn check_editions(&self, owners: &BTreeMap<String, &str>) -> Result<(), CatalogError> {
        for product in self.products.values() {
            for (place, edition) in product.editions.iter().enumerate() {
                let name = || format!("{}/{}", product.id, edition.id);
                let source_name = || owners[&format!("edition {}", name())].to_owned();
                let unknown = |kind, name_of: &str| CatalogError::Unknown {
                    source_name: source_name(),
                    edition: name(),
                    kind,
                    name: name_of.to_owned(),
                };
                if let Some(base) = &edition.extends
                    && !product.editions[..place].iter().any(|earlier| earlier.id == *base)
                {
                    return Err(unknown("edition", base));
                }
                for (key, value) in &edition.features {
                    let feature = self.features.get(key).ok_or_else(|| unknown("feature", key))?;
                    if !feature.value_type.takes(value) {
                        return Err(CatalogError::ValueType {
                            source_name: source_name(),
                            edition: name(),
                            feature: key.clone(),
                            expected: feature.value_type,
                        });
                    }
                }
                if let Some(key) = edition.quotas.keys().find(|key| !self.quotas.contains_key(*key)) {
                    return Err(unknown("quota", key));
                }
            }
        }
        Ok(())
    }
}

fn quota_problem(quota: &QuotaDefinition) -> Option<&'static str> {
    match (quota.kind, quota.window.is_some(), quota.consume_on) {
        (QuotaKind::Metered, false, _) => Some("is metered and states no window"),
        (QuotaKind::Cardinality, true, _) => Some("counts live things, which have no window"),
        (QuotaKind::Cardinality, _, Some(ConsumeOn::Success | ConsumeOn::Attempt)) => {
            Some("counts live things, which are not consumed")
        }
        _ => None,
    }
}

/// Stands for every policy (RFC 5280, 4.2.1.4), so for no product.
const ANY_POLICY: &str = "2.5.29.32.0";

/// Dotted numbers that DER libraries commonly take: the first of 0 to 2, beneath 0 and 1 the second of 0 to 39 (X.660),
/// each of at most 32 bits, without leading zeros.
fn is_object_identifier(text: &str) -> bool {
    let numbers: Option<Vec<u32>> = text
        .split('.')
        .map(|number| number.parse().ok().filter(|read: &u32| read.to_string() == number))
        .collect();
    numbers.is_some_and(|numbers| match numbers.as_slice() {
        [0 | 1, second, _, ..] => *second < 40,
        [2, second, _, ..] => *second < u32::MAX - 80,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::FeatureValue;

    const PLATFORM: (&str, &str) = (
        "platform",
        r#"
        [[product]]
        id = "chancery"
        name = "Chancery"
        [[product.edition]]
        id = "community"
        name = "Community"
        quotas = { "tenancy.exports.max" = 3 }
        [[product.edition]]
        id = "pro"
        name = "Pro"
        extends = "community"
        features = { "tenancy.subtenants.v1" = true }
        quotas = { "tenancy.exports.max" = 100 }
        "#,
    );
    const TENANCY: (&str, &str) = (
        "tenancy",
        r#"
        [[feature]]
        key = "tenancy.subtenants.v1"
        type = "BOOLEAN"
        description = "tenants beneath tenants"
        [[quota]]
        key = "tenancy.exports.max"
        kind = "METERED"
        window = "P1D"
        description = "exports"
        "#,
    );

    fn refusal(slices: &[(&str, &str)]) -> String {
        Catalog::assemble(slices.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn an_edition_holds_what_it_extends_and_its_own_limits_replace_those() {
        let catalog = Catalog::assemble([PLATFORM, TENANCY]).unwrap();
        let pro = catalog.expand("chancery", "pro").unwrap();
        assert_eq!(pro.quotas["tenancy.exports.max"], 100);
        assert_eq!(pro.features["tenancy.subtenants.v1"], FeatureValue::Boolean(true));
        let community = catalog.expand("chancery", "community").unwrap();
        assert!(community.features.is_empty());
        assert_eq!(catalog.expand("chancery", "gold"), None);
        assert_eq!(catalog.expand("other", "pro"), None);
    }

    #[test]
    fn a_duplicate_names_both_slices() {
        let text = refusal(&[PLATFORM, TENANCY, ("again", TENANCY.1)]);
        assert!(text.contains("`again`") && text.contains("`tenancy`"), "{text}");
    }

    #[test]
    fn an_unknown_reference_names_the_edition() {
        let text = refusal(&[PLATFORM]);
        assert!(text.contains("chancery/community") && text.contains("tenancy.exports.max"), "{text}");
    }

    #[test]
    fn a_product_whose_id_no_entitlement_key_can_begin_with_is_refused() {
        for id in ["", "Chancery", "chan.cery"] {
            let wrong = PLATFORM.1.replace("id = \"chancery\"", &format!("id = \"{id}\""));
            assert!(refusal(&[("platform", &wrong), TENANCY]).contains(&format!("key `{id}`")), "{id}");
        }
    }

    #[test]
    fn a_deployment_adds_products_of_features_that_modules_list() {
        // No module is linked into this test, so what the deployment refers to is its own.
        let catalog = Catalog::linked_and([PLATFORM, TENANCY]).unwrap();
        assert_eq!(catalog.products().count(), 1);
        assert!(Catalog::linked_and([PLATFORM, TENANCY, ("deployment", TENANCY.1)]).is_err());
    }

    #[test]
    fn an_edition_extends_one_listed_before_it() {
        let wrong = PLATFORM.1.replace("extends = \"community\"", "extends = \"pro\"");
        assert!(refusal(&[("platform", &wrong), TENANCY]).contains("edition `pro`"));
    }

    #[test]
    fn the_policy_of_a_product_is_an_object_identifier_of_its_own() {
        let with = |policy: &str| {
            PLATFORM.1.replace("id = \"chancery\"", &format!("id = \"chancery\"\npolicy = \"{policy}\""))
        };
        for good in ["1.2.840.113556.1.8000.2554.3.1", "2.999.1", "0.39.4294967295"] {
            let text = with(good);
            let catalog = Catalog::assemble([("platform", text.as_str()), TENANCY]).unwrap();
            assert_eq!(catalog.products().next().unwrap().policy.as_deref(), Some(good));
        }
        for wrong in [
            "",
            "1",
            "1.2",
            "1.40.1",
            "3.1.1",
            "1.2.",
            "1.2.03",
            "1.2.-3",
            "1.2.+3",
            "1.2.4294967296",
            "chancery",
            "2.5.29.32.0",
        ] {
            let text = refusal(&[("platform", &with(wrong)), TENANCY]);
            assert!(text.contains("object identifier") && text.contains("`platform`"), "{wrong}: {text}");
        }
        let other = with("1.2.3").replace("id = \"chancery\"", "id = \"other\"");
        let text = refusal(&[("platform", &with("1.2.3")), ("other", &other), TENANCY]);
        assert!(text.contains("policy 1.2.3") && text.contains("`other`"), "{text}");
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let wrong = PLATFORM.1.replace("\"tenancy.subtenants.v1\" = true", "\"tenancy.subtenants.v1\" = 3");
        assert!(refusal(&[("platform", &wrong), TENANCY]).contains("Boolean"));
    }

    #[test]
    fn a_metered_quota_states_its_window() {
        let wrong = TENANCY.1.replace("window = \"P1D\"", "");
        assert!(refusal(&[PLATFORM, ("tenancy", &wrong)]).contains("no window"));
    }

    #[test]
    fn a_misspelled_option_is_refused_with_its_slice() {
        let wrong = TENANCY.1.replace("window", "windows");
        assert!(refusal(&[PLATFORM, ("tenancy", &wrong)]).contains("`tenancy`"));
    }
}
