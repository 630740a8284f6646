use std::fmt;

use descriptors::{
    denial::Reason,
    grant::{Ceiling, CeilingUnavailable},
};
use serde::Serialize;

use crate::{
    Baseline, Because, Decision, Described, Question, Source, Verdict, decide,
    steps::{LAST_STEP, STEPS, walk},
};

/// A decision with everything that led to it (semantics 2.8). Explaining charges nothing and audits nothing.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The answer.
    pub decision: Decision<'a>,
    /// What was looked at, in order; the last one decided.
    pub steps: Vec<Step>,
    /// The smallest changes, any one of which would allow the command. Empty when it runs, and when no single change
    /// would do.
    pub remedies: Vec<Remedy>,
}

/// One step of the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its number in semantics 2.2.
    pub number: usize,
    /// What it asks.
    pub asks: &'static str,
    /// What it found.
    pub found: String,
    /// Whether it decided.
    pub decided: bool,
}

/// A change that would allow the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum Remedy {
    /// Install a license that is in force.
    InstallLicense,
    /// Hold a larger edition.
    Edition {
        /// Of this product.
        product: String,
        /// This one, or a larger one.
        edition: String,
    },
    /// Grant the tenant a feature the license already permits.
    GrantFeature {
        /// Which.
        feature: String,
    },
    /// Grant the tenant a product or module the license already permits.
    GrantProduct {
        /// Which product.
        product: String,
        /// Which module.
        module: String,
    },
    /// Take out a deny rule.
    RemoveDenyRule {
        /// Where it is written.
        from: String,
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
        match self {
            Self::InstallLicense => f.write_str("install a license that is in force"),
            Self::Edition { product, edition } => {
                write!(f, "hold edition `{edition}` of `{product}`, or a larger one")
            }
            Self::GrantFeature { feature } => {
                write!(f, "grant feature `{feature}` in the tenant's subscription or the baseline")
            }
            Self::GrantProduct { product, module } => {
                write!(
                    f,
                    "grant product `{product}` with module `{module}` in the tenant's subscription or the baseline"
                )
            }
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

/// Explains the answer that [`decide`] gives.
pub fn explain<'a>(question: &Question<'a>) -> Explanation<'a> {
    let mut steps = Vec::new();
    let decision = walk(question, &mut |place, found| {
        steps.push(Step {
            number: place + 1,
            asks: STEPS[place],
            found: found.map_or_else(|| "yes".to_owned(), |because| because.to_string()),
            decided: false,
        });
    });
    let place = steps.len();
    steps.push(Step {
        number: place + 1,
        asks: STEPS.get(place).copied().unwrap_or(LAST_STEP),
        found: decision.because.to_string(),
        decided: true,
    });
    Explanation { decision, steps, remedies: remedies(question, decision) }
}

fn remedies(question: &Question<'_>, decision: Decision<'_>) -> Vec<Remedy> {
    let Verdict::Denied(reason) = decision.verdict else { return Vec::new() };
    match (reason, decision.because) {
        (_, Because::Ceiling(CeilingUnavailable::PartyUnresolved)) => Vec::new(),
        (_, Because::Ceiling(_)) => vec![Remedy::InstallLicense],
        (_, Because::Defect(error)) => vec![Remedy::MendDescriptor { problem: error.to_string() }],
        (Reason::MissingContract | Reason::MissingDescriptor, _) => vec![Remedy::Describe],
        (_, Because::UnknownFeature(feature)) => {
            vec![Remedy::DeclareFeature { feature: feature.to_string() }]
        }
        (_, Because::DenyRule(from, rule)) => {
            vec![Remedy::RemoveDenyRule { from: from.to_string(), rule: rule.to_string() }]
        }
        (Reason::CeilingExceeded, _) => smallest_edition(question).into_iter().collect(),
        (_, Because::Lacks(Source::Baseline | Source::Additions, feature)) => {
            vec![Remedy::GrantFeature { feature: feature.to_string() }]
        }
        (_, Because::NotLicensed(_, key)) => {
            vec![Remedy::GrantProduct { product: key.product().to_owned(), module: key.module().to_owned() }]
        }
        _ => Vec::new(),
    }
}

/// The first edition, from small to large, under which the command would be allowed.
fn smallest_edition(question: &Question<'_>) -> Option<Remedy> {
    let Described::By(descriptor) = question.described else { return None };
    let product =
        question.catalog.products().find(|product| product.id == descriptor.entitlement_key().product())?;
    product.editions.iter().find_map(|edition| {
        let grant = question.catalog.expand(&product.id, &edition.id)?;
        let asked =
            Question { ceiling: Ceiling::Granted(&grant), baseline: Baseline::WholeCeiling, ..*question };
        (decide(&asked).verdict == Verdict::Allowed)
            .then(|| Remedy::Edition { product: product.id.clone(), edition: edition.id.clone() })
    })
}
