use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Decision, Question, Remedy,
    remedy::remedies,
    steps::{LAST_STEP, STEPS, walk},
};

/// A decision with everything that led to it (semantics 2.8). Explaining charges nothing and audits nothing.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The answer.
    pub decision: Decision<'a>,
    /// What was looked at, in order; the last one decided.
    pub steps: Vec<Step>,
    /// The ways out, those of the fewest changes first: any one of them would allow the command. A command that is
    /// allowed has some too where a quota of its can fund no call at all.
    pub remedies: Vec<Remedy>,
}

/// One step of the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its number in semantics 2.2.
    pub number: usize,
    /// What it asks.
    pub asks: Cow<'static, str>,
    /// What it found.
    pub found: String,
    /// Whether it decided.
    pub decided: bool,
}

/// Explains the answer that [`decide`](crate::decide) gives.
pub fn explain<'a>(question: &Question<'a>) -> Explanation<'a> {
    let mut steps = Vec::new();
    let decision = walk(question, &mut |place, found| {
        steps.push(Step {
            number: place + 1,
            asks: STEPS[place].into(),
            found: found.map_or_else(|| "yes".to_owned(), |because| because.to_string()),
            decided: false,
        });
    });
    let place = steps.len();
    steps.push(Step {
        number: place + 1,
        asks: STEPS.get(place).copied().unwrap_or(LAST_STEP).into(),
        found: decision.because.to_string(),
        decided: true,
    });
    Explanation { decision, steps, remedies: remedies(question, decision) }
}
