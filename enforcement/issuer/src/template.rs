use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use descriptors::{
    catalog::{Catalog, ValueType},
    grant::{FeatureValue, Grant, Pattern, ProductGrant, Rules},
};
use envelope::{
    Claims,
    claims::{Binding, Party, Revocation, Schema},
    request::LicenseRequest,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a customer is sold, as TOML or JSON. Every member that is not optional must be there.
///
/// ```toml
/// validDays = 365
/// graceDays = 14
/// issuer = { id = "vendor", name = "Vendor" }
/// licensee = { id = "acme", name = "Acme" }
///
/// [[sell]]
/// product = "chancery"
/// edition = "pro"
///
/// [grant]
/// commands = { deny = ["chancery.signup.**"] }
/// quotas = { "tenancy.exports.max" = 250 }
/// ```
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// The license's id; a new one is made where it is absent.
    pub license_id: Option<String>,
    /// Who grants.
    pub issuer: Party,
    /// To whom.
    pub licensee: Party,
    /// Who owns the installation; the licensee where it is absent.
    pub installation_owner: Option<Party>,
    /// From when on it is valid (RFC 3339); the time of issue where it is absent.
    pub not_before: Option<Timestamp>,
    /// Days from then until it expires.
    pub valid_days: u32,
    /// Days past its expiry in which it still counts.
    pub grace_days: u16,
    /// Domains it may serve under; those of the request where it is absent, any where it is empty.
    pub base_domains: Option<Vec<String>>,
    /// Editions that are sold, expanded through the catalog.
    #[serde(default)]
    pub sell: Vec<Sale>,
    /// What is permitted beside the editions, or instead of what they say.
    #[serde(default)]
    pub grant: Option<Overrides>,
    /// Certificate policies under which it is issued, as dotted identifiers.
    #[serde(default)]
    pub asserted_policies: Vec<String>,
    /// Where operators may ask for the state of the license.
    pub status_reference: Option<String>,
    /// Anything to be carried along.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// An edition of a product, sold whole or for some of its modules.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sale {
    /// The product's id.
    pub product: String,
    /// The edition's id.
    pub edition: String,
    /// Modules that are licensed; all where it is absent.
    pub modules: Option<BTreeSet<String>>,
}

/// Parts of a grant. They win over the editions; rules are added to theirs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Overrides {
    /// Products by id.
    #[serde(default)]
    pub products: BTreeMap<String, ProductGrant>,
    /// Features by key.
    #[serde(default)]
    pub features: BTreeMap<String, FeatureValue>,
    /// Rules over entitlement keys.
    #[serde(default = "no_rules")]
    pub commands: OverrideRules,
    /// Hard limits by quota key.
    #[serde(default)]
    pub quotas: BTreeMap<String, u64>,
}

/// Rules that are added.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideRules {
    /// Grants what matches.
    #[serde(default)]
    pub allow: Vec<Pattern>,
    /// Refuses what matches.
    #[serde(default)]
    pub deny: Vec<Pattern>,
}

const fn no_rules() -> OverrideRules {
    OverrideRules { allow: Vec::new(), deny: Vec::new() }
}

/// Why a text is not a template, or a template no grant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Neither `.toml` nor `.json`.
    #[error("a template is a `.toml` or a `.json` file")]
    Extension,
    /// Not TOML, or not a template.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Not JSON, or not a template.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It neither sells an edition nor grants anything by itself.
    #[error("the template sells nothing: it has neither `[[sell]]` nor `[grant]`")]
    Nothing,
    /// It sells an edition, and there is no catalog to say what that holds.
    #[error(
        "the template sells `{product}/{edition}`, and what that holds is in the catalog: give --catalog"
    )]
    NoCatalog {
        /// The product.
        product: String,
        /// The edition.
        edition: String,
    },
    /// The catalog has no such edition.
    #[error("the catalog has no edition `{product}/{edition}`")]
    UnknownEdition {
        /// The product.
        product: String,
        /// The edition.
        edition: String,
    },
    /// A product is sold twice.
    #[error("the template sells `{product}` twice")]
    Twice {
        /// The product.
        product: String,
    },
    /// Two products give one key different values.
    #[error("`{key}` has one value in `{product}` and another in a product before it; state it in `[grant]`")]
    Conflict {
        /// The feature or quota.
        key: String,
        /// The later product.
        product: String,
    },
    /// The catalog that is given has no such feature, quota or product.
    #[error("the catalog has no {kind} `{key}`")]
    UnknownKey {
        /// Feature, quota or product.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// A value is not of the type that the catalog states.
    #[error("the value of `{key}` is not {expected:?}, as the catalog says it is")]
    ValueType {
        /// The feature.
        key: String,
        /// Its type.
        expected: ValueType,
    },
}

impl Template {
    /// Reads a template in the format its file name states.
    pub fn parse(file: &Path, text: &str) -> Result<Self, TemplateError> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(toml::from_str(text)?),
            Some("json") => Ok(serde_json::from_str(text)?),
            _ => Err(TemplateError::Extension),
        }
    }

    /// What the license will permit: the editions as the catalog expands them, then the overrides.
    pub fn grant(&self, catalog: Option<&Catalog>) -> Result<Grant, TemplateError> {
        if self.sell.is_empty() && self.grant.is_none() {
            return Err(TemplateError::Nothing);
        }
        let mut grant = Grant::nothing();
        for sale in &self.sell {
            self.add(&mut grant, sale, catalog)?;
        }
        if let Some(own) = self.grant.clone() {
            grant.products.extend(own.products);
            grant.features.extend(own.features);
            grant.quotas.extend(own.quotas);
            let Rules { allow, deny } = &mut grant.commands;
            allow.extend(own.commands.allow);
            deny.extend(own.commands.deny);
        }
        if let Some(catalog) = catalog {
            check(&grant, catalog)?;
        }
        // Read back: keys that do not parse are refused by the grant's own reading.
        Ok(serde_json::from_value(serde_json::to_value(grant)?)?)
    }

    /// One sale. Where two products say different things of one key, the template has to say which it is.
    fn add(&self, grant: &mut Grant, sale: &Sale, catalog: Option<&Catalog>) -> Result<(), TemplateError> {
        let Sale { product, edition, modules } = sale;
        let catalog = catalog
            .ok_or_else(|| TemplateError::NoCatalog { product: product.clone(), edition: edition.clone() })?;
        let sold = catalog.expand(product, edition).ok_or_else(|| TemplateError::UnknownEdition {
            product: product.clone(),
            edition: edition.clone(),
        })?;
        if grant.products.contains_key(product) {
            return Err(TemplateError::Twice { product: product.clone() });
        }
        let conflict = |key: &str| TemplateError::Conflict { key: key.to_owned(), product: product.clone() };
        let stated = |key: &str| {
            self.grant
                .as_ref()
                .is_some_and(|own| own.features.contains_key(key) || own.quotas.contains_key(key))
        };
        for (key, value) in sold.features {
            match grant.features.get(&key) {
                Some(other) if *other != value && !stated(&key) => return Err(conflict(&key)),
                _ => grant.features.insert(key, value),
            };
        }
        for (key, limit) in sold.quotas {
            match grant.quotas.get(&key) {
                Some(other) if *other != limit && !stated(&key) => return Err(conflict(&key)),
                _ => grant.quotas.insert(key, limit),
            };
        }
        let licensed = ProductGrant { edition: edition.clone(), modules: modules.clone() };
        grant.products.insert(product.clone(), licensed);
        Ok(())
    }

    /// The claims of a license for one deployment. `license_id` counts where the template names none.
    pub fn claims(self, grant: Grant, request: &LicenseRequest, license_id: &str, at: Timestamp) -> Claims {
        let document = request.document();
        let not_before = self.not_before.unwrap_or(at);
        let validity = SignedDuration::from_hours(24 * i64::from(self.valid_days));
        let mut metadata = self.metadata;
        metadata.entry("requestId").or_insert_with(|| document.request_id.as_str().into());
        if let Some(renews) = &document.renews {
            metadata.entry("renews").or_insert_with(|| renews.as_str().into());
        }
        let revocation = self
            .status_reference
            .map(|reference| Revocation { crls: Vec::new(), status_reference: Some(reference) });
        Claims {
            schema: Schema::V1,
            license_id: self.license_id.unwrap_or_else(|| license_id.to_owned()),
            installation_owner: self.installation_owner.unwrap_or_else(|| self.licensee.clone()),
            issuer: self.issuer,
            licensee: self.licensee,
            issued_at: at,
            not_before,
            expires_at: not_before.checked_add(validity).unwrap_or(Timestamp::MAX),
            grace_days: self.grace_days,
            binding: Binding {
                installation_id: Some(request.installation_id().to_owned()),
                base_domains: self.base_domains.unwrap_or_else(|| document.base_domains.clone()),
            },
            grant,
            asserted_policies: self.asserted_policies,
            revocation,
            metadata,
            other: Map::new(),
        }
    }
}

/// A catalog that is given is believed to be whole, so that a misspelt key is found here and not by the customer.
fn check(grant: &Grant, catalog: &Catalog) -> Result<(), TemplateError> {
    let unknown = |kind, key: &str| TemplateError::UnknownKey { kind, key: key.to_owned() };
    for product in grant.products.keys() {
        if !catalog.products().any(|known| known.id == *product) {
            return Err(unknown("product", product));
        }
    }
    for (key, value) in &grant.features {
        let known = catalog.features().find(|feature| feature.key == *key);
        let expected = known.ok_or_else(|| unknown("feature", key))?.value_type;
        let given = match value {
            FeatureValue::Boolean(_) => ValueType::Boolean,
            FeatureValue::Quota(_) => ValueType::Quota,
            FeatureValue::Config(_) => ValueType::Config,
        };
        if given != expected {
            return Err(TemplateError::ValueType { key: key.clone(), expected });
        }
    }
    for key in grant.quotas.keys() {
        if !catalog.quotas().any(|quota| quota.key == *key) {
            return Err(unknown("quota", key));
        }
    }
    Ok(())
}
