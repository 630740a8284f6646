//! `platform.products.list`

use std::collections::BTreeMap;

use sdk::{
    descriptors::{
        catalog::{Catalog, Product},
        grant::{Ceiling, FeatureValue, Grant, ProductGrant},
    },
    prelude::*,
};

use crate::{ENTITLEMENTS_READ, Platform, PlatformError};

/// List the products that this build knows, with what their editions hold, and what the license holds of them.
#[derive(Debug, Command, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[command("platform.products.list", Platform -> ProductCatalog)]
#[access(permission = ENTITLEMENTS_READ)]
#[license(none)]
#[http(GET "/api/platform/admin/v1/products")]
pub struct ListProducts {}

/// Every product, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCatalog {
    /// The products.
    pub products: Vec<CatalogProduct>,
}

/// One product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogProduct {
    /// The first segment of its entitlement keys.
    pub id: String,
    /// For people.
    pub name: String,
    /// Its editions, from small to large.
    pub editions: Vec<CatalogEdition>,
    /// What the license holds of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licensed: Option<ProductGrant>,
}

/// One edition, with all that it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogEdition {
    /// Unique within its product.
    pub id: String,
    /// For people.
    pub name: String,
    /// Features by key.
    pub features: BTreeMap<String, FeatureValue>,
    /// Limits by quota key.
    pub quotas: BTreeMap<String, u64>,
}

impl Handle<ListProducts> for Platform {
    async fn handle(&self, _cx: &Cx, _command: ListProducts) -> Result<ProductCatalog, PlatformError> {
        let snapshot = self.deciding.license().snapshot();
        let held = match snapshot.ceiling() {
            Ceiling::Granted(grant) => Some(grant),
            Ceiling::Unavailable(_) | Ceiling::Unenforced => None,
        };
        let catalog = self.deciding.catalog();
        let products = catalog.products().map(|product| CatalogProduct {
            id: product.id.clone(),
            name: product.name.clone(),
            editions: editions(catalog, product),
            licensed: held.and_then(|grant| grant.products.get(&product.id)).cloned(),
        });
        Ok(ProductCatalog { products: products.collect() })
    }
}

fn editions(catalog: &Catalog, product: &Product) -> Vec<CatalogEdition> {
    let editions = product.editions.iter().filter_map(|edition| {
        let Grant { features, quotas, .. } = catalog.expand(&product.id, &edition.id)?;
        Some(CatalogEdition { id: edition.id.clone(), name: edition.name.clone(), features, quotas })
    });
    editions.collect()
}
