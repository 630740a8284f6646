//! What one license says differently from another, in words for people (semantics 3.12).

use std::{collections::BTreeMap, fmt};

use descriptors::{
    catalog::Catalog,
    descriptor::{FeatureKey, QuotaKey, QuotaKind},
    grant::{FeatureValue, Grant, ProductGrant},
};
use envelope::{
    Claims, VerifiedLicense,
    claims::{Binding, Party},
};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal, Sources,
    opening::{NotOpened, Opener},
};

impl Sources {
    /// Opens a license as this deployment would, whatever it is bound to and however old it is: to look at it. Nothing
    /// runs under what comes of it.
    pub fn open(&self, token: &str, at: Timestamp) -> Result<VerifiedLicense, Refusal> {
        Opener::load(self).open(token.trim(), at).map_err(|not_opened| match not_opened {
            NotOpened::Refused(refusal) | NotOpened::Revoked(refusal) => refusal,
        })
    }
}

/// What changes from one license to another: nothing, when both say the same. The id and the time of issue are no change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The id of the one.
    pub old_license_id: String,
    /// The id of the other.
    pub new_license_id: String,
    /// What changes, by subject.
    pub changes: Vec<Change>,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What it is about.
    pub subject: Subject,
    /// Whether it permits more or less.
    pub effect: Effect,
    /// The sentence: `quota chancery.exports.max is raised from 3 to 100`.
    pub text: String,
}

/// What a change is about, in the order of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Subject {
    /// Products, their editions and modules.
    Products,
    /// Features and their values.
    Features,
    /// Quotas and their limits.
    Quotas,
    /// Allow and deny rules.
    Commands,
    /// When it is valid, and its grace.
    Validity,
    /// Where it is valid.
    Binding,
    /// Who grants, and to whom.
    Parties,
}

/// Whether a change permits more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Effect {
    /// More is permitted.
    More,
    /// Less is permitted.
    Less,
    /// Something else, or it depends.
    Other,
}

impl Effect {
    /// The mark before a line for people.
    pub const fn mark(self) -> char {
        match self {
            Self::More => '+',
            Self::Less => '-',
            Self::Other => '~',
        }
    }
}

impl Subject {
    /// Its heading.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Features => "features",
            Self::Quotas => "quotas",
            Self::Commands => "commands",
            Self::Validity => "validity",
            Self::Binding => "binding",
            Self::Parties => "parties",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Diff {
    /// From `old` to `new`. The catalog only lends its words.
    pub fn between(old: &Claims, new: &Claims, catalog: &Catalog) -> Self {
        let mut report = Report { catalog, changes: Vec::new() };
        report.products(&old.grant, &new.grant);
        report.features(&old.grant, &new.grant);
        report.quotas(&old.grant, &new.grant);
        report.rules(&old.grant, &new.grant);
        report.validity(old, new);
        report.binding(&old.binding, &new.binding);
        for (role, old, new) in [
            ("issuer", &old.issuer, &new.issuer),
            ("licensee", &old.licensee, &new.licensee),
            ("installation owner", &old.installation_owner, &new.installation_owner),
        ] {
            report.party(role, old, new);
        }
        Self {
            old_license_id: old.license_id.clone(),
            new_license_id: new.license_id.clone(),
            changes: report.changes,
        }
    }

    /// Whether both say the same.
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Names by which something is told from something else, on either side.
fn both<'m, V>(
    old: &'m BTreeMap<String, V>,
    new: &'m BTreeMap<String, V>,
) -> impl Iterator<Item = (&'m str, Option<&'m V>, Option<&'m V>)> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().map(|name| (name.as_str(), old.get(name), new.get(name)))
}

struct Report<'c> {
    catalog: &'c Catalog,
    changes: Vec<Change>,
}

impl Report<'_> {
    fn tell(&mut self, subject: Subject, effect: Effect, text: String) {
        self.changes.push(Change { subject, effect, text });
    }

    fn products(&mut self, old: &Grant, new: &Grant) {
        let editions = |product: &str| -> Vec<String> {
            let product = self.catalog.products().find(|known| known.id == product);
            let editions = product.into_iter().flat_map(|product| &product.editions);
            editions.map(|edition| edition.id.clone()).collect()
        };
        let mut told = Vec::new();
        for (product, old, new) in both(&old.products, &new.products) {
            match (old, new) {
                (None, Some(new)) => {
                    let text = format!("product `{product}` is new, edition `{}`{}", new.edition, only(new));
                    told.push((Effect::More, text));
                }
                (Some(_), None) => {
                    told.push((Effect::Less, format!("product `{product}` is no longer licensed")));
                }
                (Some(old), Some(new)) => {
                    if old.edition != new.edition {
                        let known = editions(product);
                        let rank = |edition: &str| known.iter().position(|known| known == edition);
                        // What an edition holds is in the features and quotas; its name is a label.
                        let direction = match (rank(&old.edition), rank(&new.edition)) {
                            (Some(old), Some(new)) if new > old => " (a later one in the catalog)",
                            (Some(_), Some(_)) => " (an earlier one in the catalog)",
                            _ => "",
                        };
                        let text = format!(
                            "product `{product}` changes from edition `{}` to `{}`{direction}",
                            old.edition, new.edition
                        );
                        told.push((Effect::Other, text));
                    }
                    told.extend(modules(product, old, new));
                }
                (None, None) => {}
            }
        }
        for (effect, text) in told {
            self.tell(Subject::Products, effect, text);
        }
    }

    fn features(&mut self, old: &Grant, new: &Grant) {
        for (key, old, new) in both(&old.features, &new.features) {
            if old == new {
                continue;
            }
            let name = self.feature(key);
            let (was, is) =
                (old.is_some_and(FeatureValue::is_truthy), new.is_some_and(FeatureValue::is_truthy));
            let (effect, text) = match (was, is) {
                (false, true) => (Effect::More, format!("feature {name} is gained: {}", value(new))),
                (true, false) => (Effect::Less, format!("feature {name} is lost; it was {}", value(old))),
                (false, false) => continue,
                (true, true) => {
                    let effect = match (old, new) {
                        (Some(FeatureValue::Quota(old)), Some(FeatureValue::Quota(new))) if new > old => {
                            Effect::More
                        }
                        (Some(FeatureValue::Quota(old)), Some(FeatureValue::Quota(new))) if new < old => {
                            Effect::Less
                        }
                        _ => Effect::Other,
                    };
                    (effect, format!("feature {name} changes from {} to {}", value(old), value(new)))
                }
            };
            self.tell(Subject::Features, effect, text);
        }
    }

    fn quotas(&mut self, old: &Grant, new: &Grant) {
        // A quota that is not named has limit 0, so absent and 0 are the same.
        for (key, old, new) in both(&old.quotas, &new.quotas) {
            let (old, new) = (old.copied().unwrap_or(0), new.copied().unwrap_or(0));
            let name = self.quota(key);
            let (effect, text) = match old.cmp(&new) {
                std::cmp::Ordering::Equal => continue,
                std::cmp::Ordering::Less if old == 0 => {
                    (Effect::More, format!("quota {name} is gained: {new}"))
                }
                std::cmp::Ordering::Less => {
                    (Effect::More, format!("quota {name} is raised from {old} to {new}"))
                }
                std::cmp::Ordering::Greater if new == 0 => {
                    (Effect::Less, format!("quota {name} is lost; it was {old}"))
                }
                std::cmp::Ordering::Greater => {
                    (Effect::Less, format!("quota {name} is lowered from {old} to {new}"))
                }
            };
            self.tell(Subject::Quotas, effect, text);
        }
    }

    fn rules(&mut self, old: &Grant, new: &Grant) {
        for (kind, old, new, gained, lost) in [
            ("allow", &old.commands.allow, &new.commands.allow, Effect::More, Effect::Less),
            ("deny", &old.commands.deny, &new.commands.deny, Effect::Less, Effect::More),
        ] {
            for rule in new.iter().filter(|rule| !old.contains(rule)) {
                self.tell(Subject::Commands, gained, format!("{kind} rule `{rule}` is added"));
            }
            for rule in old.iter().filter(|rule| !new.contains(rule)) {
                self.tell(Subject::Commands, lost, format!("{kind} rule `{rule}` is removed"));
            }
        }
    }

    fn validity(&mut self, old: &Claims, new: &Claims) {
        if old.not_before != new.not_before {
            let effect = if new.not_before < old.not_before { Effect::More } else { Effect::Less };
            let text = format!("valid from {} instead of {}", new.not_before, old.not_before);
            self.tell(Subject::Validity, effect, text);
        }
        if old.expires_at != new.expires_at {
            let (effect, how) = apart(old.expires_at, new.expires_at);
            let text = format!("expires {} instead of {}, {how}", new.expires_at, old.expires_at);
            self.tell(Subject::Validity, effect, text);
        }
        if old.grace_days != new.grace_days {
            let effect = if new.grace_days > old.grace_days { Effect::More } else { Effect::Less };
            let text = format!(
                "grace after the expiry is {} instead of {}",
                days(new.grace_days),
                days(old.grace_days)
            );
            self.tell(Subject::Validity, effect, text);
        }
    }

    fn binding(&mut self, old: &Binding, new: &Binding) {
        if old.installation_id != new.installation_id {
            let (effect, text) = match (&old.installation_id, &new.installation_id) {
                (Some(old), None) => {
                    (Effect::More, format!("no longer bound to an installation; it was `{old}`"))
                }
                (None, Some(new)) => (Effect::Less, format!("bound to the installation `{new}`")),
                (old, new) => {
                    let (old, new) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
                    (Effect::Other, format!("bound to the installation `{new}` instead of `{old}`"))
                }
            };
            self.tell(Subject::Binding, effect, text);
        }
        let (was, is) = (&old.base_domains, &new.base_domains);
        // An empty list means any domain.
        if was.is_empty() != is.is_empty() {
            let (effect, text) = if is.is_empty() {
                (Effect::More, "it may serve under any domain".to_owned())
            } else {
                (Effect::Less, format!("it may serve under {} only", list(is)))
            };
            self.tell(Subject::Binding, effect, text);
            return;
        }
        for domain in is.iter().filter(|domain| !was.contains(domain)) {
            self.tell(Subject::Binding, Effect::More, format!("it may serve under `{domain}`"));
        }
        for domain in was.iter().filter(|domain| !is.contains(domain)) {
            self.tell(Subject::Binding, Effect::Less, format!("it may no longer serve under `{domain}`"));
        }
    }

    fn party(&mut self, role: &str, old: &Party, new: &Party) {
        if old != new {
            let name = |party: &Party| format!("`{}` ({})", party.id, party.name);
            let text = format!("the {role} is {} instead of {}", name(new), name(old));
            self.tell(Subject::Parties, Effect::Other, text);
        }
    }

    fn feature(&self, key: &str) -> String {
        let known = FeatureKey::parse(key).ok().and_then(|key| self.catalog.feature(key));
        named(key, known.map(|feature| feature.description.as_str()))
    }

    fn quota(&self, key: &str) -> String {
        let known = QuotaKey::parse(key).ok().and_then(|key| self.catalog.quota(key));
        let words = known.map(|quota| match (&quota.kind, &quota.window) {
            (QuotaKind::Metered, Some(window)) => format!("{} in {window}", quota.description),
            _ => quota.description.clone(),
        });
        named(key, words.as_deref())
    }
}

fn named(key: &str, description: Option<&str>) -> String {
    description.map_or_else(|| format!("`{key}`"), |words| format!("`{key}` ({words})"))
}

fn modules(product: &str, old: &ProductGrant, new: &ProductGrant) -> Vec<(Effect, String)> {
    match (&old.modules, &new.modules) {
        (None, Some(new)) => {
            vec![(Effect::Less, format!("product `{product}` licenses the modules {} only", list(new)))]
        }
        (Some(_), None) => vec![(Effect::More, format!("product `{product}` licenses every module"))],
        (Some(old), Some(new)) => {
            let gained = new.difference(old);
            let lost = old.difference(new);
            gained
                .map(|name| (Effect::More, format!("product `{product}` gains the module `{name}`")))
                .chain(
                    lost.map(|name| (Effect::Less, format!("product `{product}` loses the module `{name}`"))),
                )
                .collect()
        }
        (None, None) => Vec::new(),
    }
}

fn only(product: &ProductGrant) -> String {
    product.modules.as_ref().map(|modules| format!(", modules {}", list(modules))).unwrap_or_default()
}

fn list<'t>(names: impl IntoIterator<Item = &'t String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn value(value: Option<&FeatureValue>) -> String {
    match value {
        None | Some(FeatureValue::Boolean(false)) => "off".to_owned(),
        Some(FeatureValue::Boolean(true)) => "on".to_owned(),
        Some(FeatureValue::Quota(amount)) => amount.to_string(),
        Some(FeatureValue::Config(text)) => format!("`{text}`"),
    }
}

fn days(count: u16) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

fn apart(old: Timestamp, new: Timestamp) -> (Effect, String) {
    const HOURS_OF_A_DAY: i64 = 24;
    let span: SignedDuration = new.duration_since(old);
    let hours = span.as_hours().abs();
    let amount = match (hours / HOURS_OF_A_DAY, hours) {
        (0, 0) => "less than an hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    };
    if span.is_negative() {
        (Effect::Less, format!("{amount} earlier"))
    } else {
        (Effect::More, format!("{amount} later"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CATALOG: &str = r#"
        [[product]]
        id = "chancery"
        name = "Chancery"
        [[product.edition]]
        id = "community"
        name = "Community"
        [[product.edition]]
        id = "pro"
        name = "Pro"
        extends = "community"
        features = { "tenancy.subtenants.v1" = true }
        quotas = { "tenancy.exports.max" = 3 }
        [[feature]]
        key = "tenancy.subtenants.v1"
        type = "BOOLEAN"
        description = "tenants beneath tenants"
        [[quota]]
        key = "tenancy.exports.max"
        kind = "METERED"
        window = "P1D"
        description = "exports of the register"
    "#;

    fn license(change: impl Fn(&mut Value)) -> Claims {
        let party = json!({ "id": "acme", "name": "Acme" });
        let mut claims = json!({
            "schema": "urn:chancery:license:1", "licenseId": "L-1", "issuer": { "id": "v", "name": "Vendor" },
            "licensee": party, "installationOwner": party, "issuedAt": "2026-01-01T00:00:00Z",
            "notBefore": "2026-01-01T00:00:00Z", "expiresAt": "2027-01-01T00:00:00Z", "graceDays": 14,
            "binding": { "installationId": "site-1", "baseDomains": ["a.example"] },
            "grant": {
                "products": { "chancery": { "edition": "community", "modules": ["tenancy"] } },
                "features": { "tenancy.subtenants.v1": false },
                "quotas": { "tenancy.exports.max": 3 },
                "commands": { "allow": ["chancery.health.**"], "deny": [] },
            },
        });
        change(&mut claims);
        serde_json::from_value(claims).unwrap()
    }

    #[track_caller]
    fn told(change: impl Fn(&mut Value)) -> Vec<String> {
        let catalog = Catalog::assemble([("test", CATALOG)]).unwrap();
        let diff = Diff::between(&license(|_| {}), &license(change), &catalog);
        diff.changes.iter().map(|change| format!("{} {}", change.effect.mark(), change.text)).collect()
    }

    #[test]
    fn a_license_that_permits_the_same_changes_nothing() {
        assert!(
            told(|claims| {
                claims["licenseId"] = json!("L-2");
                claims["issuedAt"] = json!("2026-06-01T00:00:00Z");
                claims["metadata"] = json!({ "order": 17 });
                // Absent is off, and no limit is 0.
                claims["grant"]["features"] = json!({});
                claims["grant"]["quotas"]["tenancy.tenants.max"] = json!(0);
            })
            .is_empty()
        );
    }

    #[test]
    fn every_part_of_a_license_is_compared_in_words() {
        type Case = (fn(&mut Value), &'static [&'static str]);
        let cases: &[Case] = &[
            (
                |it| it["grant"]["products"]["chancery"]["edition"] = json!("pro"),
                &[
                    "~ product `chancery` changes from edition `community` to `pro` (a later one in the catalog)",
                ],
            ),
            (
                |it| it["grant"]["products"]["chancery"]["modules"] = json!(["signup"]),
                &[
                    "+ product `chancery` gains the module `signup`",
                    "- product `chancery` loses the module `tenancy`",
                ],
            ),
            (
                |it| drop(it["grant"]["products"]["chancery"].as_object_mut().unwrap().remove("modules")),
                &["+ product `chancery` licenses every module"],
            ),
            (
                |it| it["grant"]["products"] = json!({ "vault": { "edition": "one" } }),
                &["- product `chancery` is no longer licensed", "+ product `vault` is new, edition `one`"],
            ),
            (
                |it| it["grant"]["features"]["tenancy.subtenants.v1"] = json!(true),
                &["+ feature `tenancy.subtenants.v1` (tenants beneath tenants) is gained: on"],
            ),
            (
                |it| it["grant"]["quotas"]["tenancy.exports.max"] = json!(100),
                &["+ quota `tenancy.exports.max` (exports of the register in P1D) is raised from 3 to 100"],
            ),
            (
                |it| it["grant"]["quotas"] = json!({}),
                &["- quota `tenancy.exports.max` (exports of the register in P1D) is lost; it was 3"],
            ),
            (
                |it| it["grant"]["commands"] = json!({ "allow": [], "deny": ["chancery.tenancy.**"] }),
                &[
                    "- allow rule `chancery.health.**` is removed",
                    "- deny rule `chancery.tenancy.**` is added",
                ],
            ),
            (
                |it| it["expiresAt"] = json!("2026-12-22T00:00:00Z"),
                &["- expires 2026-12-22T00:00:00Z instead of 2027-01-01T00:00:00Z, 10 days earlier"],
            ),
            (|it| it["graceDays"] = json!(1), &["- grace after the expiry is 1 day instead of 14 days"]),
            (
                |it| it["binding"] = json!({ "installationId": "site-2", "baseDomains": [] }),
                &[
                    "~ bound to the installation `site-2` instead of `site-1`",
                    "+ it may serve under any domain",
                ],
            ),
            (
                |it| it["binding"]["baseDomains"] = json!(["b.example"]),
                &["+ it may serve under `b.example`", "- it may no longer serve under `a.example`"],
            ),
            (
                |it| it["licensee"]["id"] = json!("acme-2"),
                &["~ the licensee is `acme-2` (Acme) instead of `acme` (Acme)"],
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(told(change), *expected);
        }
    }
}
