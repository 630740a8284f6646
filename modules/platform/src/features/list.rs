//! `platform.features.list`

use std::collections::BTreeSet;

use sdk::{
    descriptors::{
        catalog::{Catalog, ValueType},
        descriptor::LicenseDescriptor,
    },
    kernel::Contract,
    prelude::*,
};

use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// List the features that this build knows. Listing is not granting.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.features.list", Platform -> FeatureCatalog)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/features")]
pub struct ListFeatures {}

/// Every feature, by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureCatalog {
    /// The features.
    pub features: Vec<CatalogFeature>,
}

/// One feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogFeature {
    /// Its key.
    pub key: String,
    /// What kind of value it takes.
    pub value_type: ValueType,
    /// What it opens.
    pub description: String,
    /// The products of which an edition holds it.
    pub products: BTreeSet<String>,
    /// The commands that require it.
    pub commands: BTreeSet<String>,
}

impl Handle<ListFeatures> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ListFeatures) -> Result<FeatureCatalog, PlatformError> {
        let catalog = self.deciding.catalog();
        let features = catalog.features().map(|feature| CatalogFeature {
            key: feature.key.clone(),
            value_type: feature.value_type,
            description: feature.description.clone(),
            products: products(catalog, &feature.key),
            commands: self.requiring(&feature.key),
        });
        Ok(FeatureCatalog { features: features.collect() })
    }
}

fn products(catalog: &Catalog, feature: &str) -> BTreeSet<String> {
    let holding = catalog
        .products()
        .filter(|product| product.editions.iter().any(|edition| edition.features.contains_key(feature)));
    holding.map(|product| product.id.clone()).collect()
}

impl Platform {
    fn requiring(&self, feature: &str) -> BTreeSet<String> {
        let registry = self.deciding.registry();
        let requiring = registry.entries().filter(|(_, entry)| {
            let descriptor = entry.contract().and_then(Contract::facet::<LicenseDescriptor>);
            descriptor.is_some_and(|it| it.features().iter().any(|key| key.as_str() == feature))
        });
        requiring.map(|(_, entry)| entry.id().as_str().to_owned()).collect()
    }
}
