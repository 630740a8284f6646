use askama::{Template, filters::HtmlSafe};
use serde::Deserialize;

use crate::html::Said;

/// The steps of the decision that no question came to, by their numbers in semantics 2.2.
const NAMES: [&str; 10] = [
    "enforcement is on",
    "the command is described",
    "the descriptor is sound",
    "the protection mode asks for a license",
    "the deployment's shape is one that enforces",
    "a ceiling is available",
    "the catalog knows every required feature",
    "no deny rule matches",
    "the ceiling permits it",
    "the effective set grants it",
];

/// A step of a decision, as `explain` tells it.
#[derive(Clone, Deserialize)]
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) asks: String,
    pub(crate) found: String,
    pub(crate) decided: bool,
}

/// The way a decision took, rung by rung, with the one that decided.
#[derive(Template)]
#[template(path = "pictures/ladder.html")]
pub(crate) struct Ladder {
    pub(crate) steps: Vec<Step>,
    pub(crate) denied: bool,
}

impl HtmlSafe for Ladder {}

struct Rung {
    number: usize,
    asks: String,
    found: String,
    state: &'static str,
    word: &'static str,
}

impl Ladder {
    fn rungs(&self) -> Vec<Rung> {
        let taken = self.steps.iter().map(|step| {
            let (state, word) = match (step.decided, self.denied) {
                (false, _) => ("passed", "passed"),
                (true, true) => ("decided", "decided: denied"),
                (true, false) => ("allowed", "decided: may run"),
            };
            Rung { number: step.number, asks: step.asks.clone(), found: step.found.clone(), state, word }
        });
        let untaken = NAMES.iter().enumerate().skip(self.steps.len()).map(|(place, asks)| Rung {
            number: place + 1,
            asks: (*asks).to_owned(),
            found: String::new(),
            state: "unasked",
            word: "not asked",
        });
        taken.chain(untaken).collect()
    }

    fn in_words(&self) -> String {
        let verdict = if self.denied { "denied" } else { "may run" };
        match self.steps.last() {
            Some(step) => format!(
                "{} of {} steps; step {} decided: {verdict}",
                self.steps.len(),
                NAMES.len(),
                step.number
            ),
            None => verdict.to_owned(),
        }
    }

    fn x(index: &usize) -> usize {
        16 + index * 32
    }

    fn said(text: &str) -> Said<'_> {
        Said(text)
    }

    fn dot(state: &str) -> &'static str {
        match state {
            "passed" => " passed",
            "decided" => " bad",
            "allowed" => " good",
            _ => "",
        }
    }
}
