//! What is handed on: the form of a baseline and of a subscription, from its fields to the command's input and back.

use std::collections::BTreeMap;

use futures_util::future::join3;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    answers::{Features, KnownFeature, Quota},
    form::Fields,
    pages::home,
    problem::Problem,
    visitor::Operator,
};

/// Terms, as commands take and tell them.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Terms {
    #[serde(default)]
    products: BTreeMap<String, ProductTerms>,
    #[serde(default)]
    features: BTreeMap<String, Value>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    quotas: BTreeMap<String, u64>,
}

#[derive(Clone, Deserialize)]
struct ProductTerms {
    modules: Option<Vec<String>>,
}

/// The form: everything that this build knows, and what is chosen of it.
pub(crate) struct Editor {
    pub(crate) products: Vec<Choice>,
    pub(crate) features: Vec<FeatureField>,
    pub(crate) quotas: Vec<QuotaField>,
    pub(crate) allow: String,
    pub(crate) deny: String,
}

pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) chosen: bool,
    /// Its modules; empty for all of them.
    pub(crate) modules: String,
}

pub(crate) struct FeatureField {
    pub(crate) known: KnownFeature,
    pub(crate) value: String,
}

impl FeatureField {
    pub(crate) fn is_switch(&self) -> bool {
        self.known.value_type == "BOOLEAN"
    }

    pub(crate) fn is_on(&self) -> bool {
        self.value == "true"
    }
}

pub(crate) struct QuotaField {
    pub(crate) key: String,
    pub(crate) license: String,
    pub(crate) value: String,
}

#[derive(Deserialize)]
struct Products {
    products: Vec<Product>,
}

#[derive(Deserialize)]
struct Product {
    id: String,
    name: String,
}

/// The form with these terms in it.
pub(crate) async fn editor(operator: &Operator, terms: &Terms) -> Result<Editor, Problem> {
    let (products, features, quotas) = join3(
        operator.call::<Products>("platform.products.list", json!({})),
        operator.call::<Features>("platform.features.list", json!({})),
        home::quotas(operator, None),
    )
    .await;
    let mut quotas: Vec<Quota> = quotas?;
    quotas.sort_by(|one, other| one.quota_key.cmp(&other.quota_key));
    Ok(Editor {
        products: products?.products.into_iter().map(|product| choice(product, terms)).collect(),
        features: features?.features.into_iter().map(|known| feature(known, terms)).collect(),
        quotas: quotas.into_iter().map(|quota| limit(quota, terms)).collect(),
        allow: terms.allow.join("\n"),
        deny: terms.deny.join("\n"),
    })
}

fn choice(product: Product, terms: &Terms) -> Choice {
    let held = terms.products.get(&product.id);
    let modules = held.and_then(|terms| terms.modules.as_ref()).map(|modules| modules.join(" "));
    Choice {
        chosen: held.is_some(),
        modules: modules.unwrap_or_default(),
        id: product.id,
        name: product.name,
    }
}

fn feature(known: KnownFeature, terms: &Terms) -> FeatureField {
    let value = match terms.features.get(&known.key) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    FeatureField { known, value }
}

fn limit(quota: Quota, terms: &Terms) -> QuotaField {
    let value = terms.quotas.get(&quota.quota_key).map(u64::to_string).unwrap_or_default();
    QuotaField { license: quota.limit_text(), key: quota.quota_key, value }
}

/// The terms that were entered. What is no number where one is asked for is told by its field.
pub(crate) fn entered(fields: &Fields) -> Result<Value, Problem> {
    let mut products = Map::new();
    for (id, _) in fields.beneath("product.") {
        let modules: Vec<&str> = fields.text(&format!("modules.{id}")).split_whitespace().collect();
        let terms = if modules.is_empty() { json!({}) } else { json!({ "modules": modules }) };
        products.insert(id.to_owned(), terms);
    }
    let mut features = Map::new();
    for (key, _) in fields.beneath("switch.") {
        features.insert(key.to_owned(), true.into());
    }
    for (key, text) in fields.beneath("amount.").filter(|(_, text)| !text.is_empty()) {
        features.insert(key.to_owned(), number("amount", key, text)?.into());
    }
    for (key, text) in fields.beneath("text.").filter(|(_, text)| !text.is_empty()) {
        features.insert(key.to_owned(), text.into());
    }
    let mut quotas = Map::new();
    for (key, text) in fields.beneath("quota.").filter(|(_, text)| !text.is_empty()) {
        quotas.insert(key.to_owned(), number("quota", key, text)?.into());
    }
    let lines = |name: &str| fields.text(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Ok(json!({
        "products": products,
        "features": features,
        "quotas": quotas,
        "allow": lines("allow"),
        "deny": lines("deny"),
    }))
}

fn number(kind: &str, key: &str, text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        Problem::entered(&format!("{kind}.{key}"), format!("{key} takes a whole number, not {text}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_comes_back_as_it_was() {
        let form = "product.chancery=on&modules.chancery=tenancy+platform&switch.a.v1=on&amount.b.v1=&quota.q=3&quota.r=&deny=a.b.c.d%0Ae.**";
        let terms = entered(&Fields::of_query(Some(form))).unwrap();
        let expected = json!({
            "products": { "chancery": { "modules": ["tenancy", "platform"] } },
            "features": { "a.v1": true },
            "quotas": { "q": 3 },
            "allow": [],
            "deny": ["a.b.c.d", "e.**"],
        });
        assert_eq!(terms, expected);
        let read: Terms = serde_json::from_value(terms).unwrap();
        assert_eq!((read.quotas["q"], read.deny.len()), (3, 2));
    }

    #[test]
    fn what_is_no_number_is_told_by_its_field() {
        let problem = entered(&Fields::of_query(Some("quota.q=many"))).unwrap_err();
        assert!(problem.about("quota.q"));
    }
}
