//! The ways out of a denial: each is tried out on copies of the documents before it is named, so that what is named
//! suffices.

use std::fmt;

use descriptors::{
    denial::Reason,
    descriptor::{LicenseDescriptor, QuotaKind},
    grant::{Ceiling, CeilingUnavailable, FeatureValue, Grant, Pattern, ProductGrant},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Baseline, Because, Decision, Described, Question, Source, Verdict, decide};

/// Changes that together would allow the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// All of them are needed. Most often it is one.
    pub changes: Vec<Change>,
}

/// A change to what is held, sold or described.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum Change {
    /// Install a license that is in force.
    InstallLicense,
    /// Hold a larger edition.
    Edition {
        /// Of this product.
        product: String,
        /// This one, or a larger one.
        edition: String,
    },
    /// Grant a feature.
    GrantFeature {
        /// In this document.
        by: Source,
        /// Which.
        feature: String,
    },
    /// Grant a product or module.
    GrantProduct {
        /// In this document.
        by: Source,
        /// Which product.
        product: String,
        /// Which module.
        module: String,
    },
    /// Allow this one command by a rule.
    AllowCommand {
        /// In this document.
        by: Source,
        /// Its entitlement key.
        key: String,
    },
    /// Raise a limit, so that one call fits.
    RaiseQuota {
        /// In this document.
        by: Source,
        /// Which.
        quota: String,
        /// To at least this.
        to: u64,
    },
    /// Take out a deny rule.
    RemoveDenyRule {
        /// Where it is written.
        from: Source,
        /// The rule.
        rule: String,
    },
    /// Describe the command, or put it on the allowlist with a reason.
    Describe,
    /// Mend the descriptor.
    MendDescriptor {
        /// What is wrong with it.
        problem: String,
    },
    /// Add the feature to the catalog.
    DeclareFeature {
        /// Which.
        feature: String,
    },
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, change) in self.changes.iter().enumerate() {
            let before = if place == 0 { "" } else { ", and " };
            write!(f, "{before}{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallLicense => f.write_str("install a license that is in force"),
            Self::Edition { product, edition } => {
                write!(f, "hold edition `{edition}` of `{product}`, or a larger one")
            }
            Self::GrantFeature { by, feature } => write!(f, "grant feature `{feature}` in {by}"),
            Self::GrantProduct { by, product, module } => {
                write!(f, "grant product `{product}` with module `{module}` in {by}")
            }
            Self::AllowCommand { by, key } => write!(f, "add allow rule `{key}` to {by}"),
            Self::RaiseQuota { by, quota, to } => write!(f, "raise quota `{quota}` in {by} to {to} or more"),
            Self::RemoveDenyRule { from, rule } => write!(f, "remove deny rule `{rule}` from {from}"),
            Self::Describe => {
                f.write_str("give the command a `#[license(…)]`, or allowlist it with a reason")
            }
            Self::MendDescriptor { problem } => write!(f, "mend the descriptor: {problem}"),
            Self::DeclareFeature { feature } => {
                write!(f, "list feature `{feature}` in the module's catalog slice")
            }
        }
    }
}

/// The ways out, those of the fewest changes first. None for a command that runs, nor where no change that can be named
/// beforehand would do.
pub(crate) fn remedies(question: &Question<'_>, decision: Decision<'_>) -> Vec<Remedy> {
    let only = |change| vec![Remedy { changes: vec![change] }];
    match (question.ceiling, question.described, decision.because) {
        (Ceiling::Granted(license), Described::By(descriptor), _) => {
            let mut remedies = Vec::new();
            Plan::new(question, descriptor, license).complete(&mut remedies);
            remedies.sort_by_key(|remedy| remedy.changes.len());
            remedies
        }
        (_, _, Because::Ceiling(CeilingUnavailable::PartyUnresolved)) => Vec::new(),
        (_, _, Because::Ceiling(_)) => only(Change::InstallLicense),
        (_, _, Because::Defect(error)) => only(Change::MendDescriptor { problem: error.to_string() }),
        _ if matches!(decision.verdict, Verdict::Denied(_)) => only(Change::Describe),
        _ => Vec::new(),
    }
}

/// Changes so far, made to copies of the documents.
#[derive(Clone)]
struct Plan<'q> {
    question: &'q Question<'q>,
    descriptor: &'q LicenseDescriptor,
    license: Grant,
    baseline: Option<Grant>,
    additions: Option<Grant>,
    changes: Vec<Change>,
}

impl<'q> Plan<'q> {
    fn new(question: &'q Question<'q>, descriptor: &'q LicenseDescriptor, license: &Grant) -> Self {
        let baseline = match question.baseline {
            Baseline::WholeCeiling => None,
            Baseline::Only(grant) => Some(grant.clone()),
        };
        let additions = question.additions.cloned();
        Self { question, descriptor, license: license.clone(), baseline, additions, changes: Vec::new() }
    }

    fn asked(&self) -> Question<'_> {
        Question {
            ceiling: Ceiling::Granted(&self.license),
            baseline: self.baseline.as_ref().map_or(Baseline::WholeCeiling, Baseline::Only),
            additions: self.additions.as_ref(),
            ..*self.question
        }
    }

    /// Changes on until the command is allowed, and one call fits its quotas. Each alternative settles the step that
    /// denied, so the next denial is of a later one.
    fn complete(self, remedies: &mut Vec<Remedy>) {
        match decide(&self.asked()).verdict {
            Verdict::Exempt(_) => {}
            Verdict::Allowed => {
                let changes = [self.changes.clone(), self.shortfalls()].concat();
                if !changes.is_empty() {
                    remedies.push(Remedy { changes });
                }
            }
            // The catalog is part of the build; what follows cannot be tried out.
            Verdict::Denied(Reason::UnknownFeatureKey) => {
                remedies.push(Remedy { changes: self.undeclared() });
            }
            Verdict::Denied(reason) => {
                for alternative in self.alternatives(reason) {
                    alternative.into_iter().fold(self.clone(), Self::with).complete(remedies);
                }
            }
        }
    }

    /// Lists of changes, each of which settles the step that denied with this reason.
    fn alternatives(&self, reason: Reason) -> Vec<Vec<Change>> {
        match reason {
            Reason::CommandDenied => vec![self.denials()],
            Reason::CeilingExceeded => {
                let lacking = self.lacking(Source::License, &[&self.license]);
                self.smallest_edition().map(|edition| vec![edition]).into_iter().chain([lacking]).collect()
            }
            Reason::NotEntitled => {
                let by = Source::Additions;
                let rule =
                    vec![Change::AllowCommand { by, key: self.descriptor.entitlement_key().to_string() }];
                let licensed = self.lacking(Source::License, &[&self.license]).is_empty();
                let handed_on: Vec<_> = self.baseline.iter().chain(&self.additions).collect();
                licensed.then(|| self.lacking(by, &handed_on)).into_iter().chain([rule]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Every deny rule that matches, of whatever document.
    fn denials(&self) -> Vec<Change> {
        let documents = [
            (Source::License, Some(&self.license)),
            (Source::Baseline, self.baseline.as_ref()),
            (Source::Additions, self.additions.as_ref()),
        ];
        let key = self.descriptor.entitlement_key();
        let rules = documents.into_iter().flat_map(|(from, grant)| {
            let rules = grant.map_or(&[][..], |grant| &grant.commands.deny);
            rules.iter().filter(|rule| rule.matches(key)).map(move |rule| (from, rule))
        });
        let mut changes: Vec<_> =
            rules.map(|(from, rule)| Change::RemoveDenyRule { from, rule: rule.to_string() }).collect();
        changes.dedup();
        changes
    }

    /// What none of the documents has of product and features, to be granted by one of them.
    fn lacking(&self, by: Source, documents: &[&Grant]) -> Vec<Change> {
        let key = self.descriptor.entitlement_key();
        let product =
            Change::GrantProduct { by, product: key.product().to_owned(), module: key.module().to_owned() };
        let licensed = documents.iter().any(|grant| grant.licenses(key));
        let features = self.descriptor.features().iter();
        let lacking = features.filter(|key| documents.iter().all(|grant| grant.lacks(&[**key]).is_some()));
        let granted = lacking.map(|feature| Change::GrantFeature { by, feature: feature.to_string() });
        (!licensed).then_some(product).into_iter().chain(granted).collect()
    }

    /// The first edition, from small to large, whose purchase would make the license permit the command.
    fn smallest_edition(&self) -> Option<Change> {
        let id = self.descriptor.entitlement_key().product();
        let product = self.question.catalog.products().find(|product| product.id == id)?;
        let editions = product
            .editions
            .iter()
            .map(|edition| Change::Edition { product: product.id.clone(), edition: edition.id.clone() });
        editions.into_iter().find(|edition| {
            let bought = self.clone().with(edition.clone());
            decide(&bought.asked()).verdict != Verdict::Denied(Reason::CeilingExceeded)
        })
    }

    fn undeclared(&self) -> Vec<Change> {
        let features = self.descriptor.features().iter();
        let unknown = features.filter(|key| self.question.catalog.feature(**key).is_none());
        unknown.map(|feature| Change::DeclareFeature { feature: feature.to_string() }).collect()
    }

    /// Limits that are too small for a single call.
    fn shortfalls(&self) -> Vec<Change> {
        let asked = self.asked();
        let mut changes = Vec::new();
        for quota in self.descriptor.quotas() {
            let to = match quota.kind {
                QuotaKind::Metered => u64::from(self.descriptor.cost().get()),
                QuotaKind::Cardinality => 1,
            };
            let limits = [
                (Source::License, asked.platform_limit(quota.key)),
                (Source::Additions, asked.tenant_limit(quota.key)),
            ];
            // Without a baseline of its own a tenant has what the license has.
            let counted = if self.baseline.is_some() { 2 } else { 1 };
            for (by, limit) in &limits[..counted] {
                if limit.is_some_and(|limit| limit < to) {
                    changes.push(Change::RaiseQuota { by: *by, quota: quota.key.to_string(), to });
                }
            }
        }
        changes
    }

    fn with(mut self, change: Change) -> Self {
        match &change {
            Change::Edition { product, edition } => {
                if let Some(bought) = self.question.catalog.expand(product, edition) {
                    self.license.products.extend(bought.products);
                    self.license.features.extend(bought.features);
                    self.license.quotas.extend(bought.quotas);
                }
            }
            Change::GrantFeature { by, feature } => {
                self.document(*by).features.insert(feature.clone(), FeatureValue::Boolean(true));
            }
            Change::GrantProduct { by, product, module } => {
                let new = ProductGrant { edition: "any".to_owned(), modules: Some([].into()) };
                let held = self.document(*by).products.entry(product.clone()).or_insert(new);
                held.modules.iter_mut().for_each(|modules| {
                    modules.insert(module.clone());
                });
            }
            Change::AllowCommand { by, key } => {
                let rule = Pattern::parse(key).expect("a key is a rule for itself");
                self.document(*by).commands.allow.push(rule);
            }
            Change::RemoveDenyRule { from, rule } => {
                self.document(*from).commands.deny.retain(|other| other.as_str() != rule);
            }
            Change::RaiseQuota { .. }
            | Change::InstallLicense
            | Change::Describe
            | Change::MendDescriptor { .. }
            | Change::DeclareFeature { .. } => {}
        }
        self.changes.push(change);
        self
    }

    fn document(&mut self, source: Source) -> &mut Grant {
        match source {
            Source::License => &mut self.license,
            Source::Baseline => self.baseline.get_or_insert_with(Grant::nothing),
            Source::Additions => self.additions.get_or_insert_with(Grant::nothing),
        }
    }
}
