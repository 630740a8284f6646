//! What benches tell whoever collects their figures: `benches/run`.

use std::{fmt, fs::OpenOptions, io::Write as _};

use serde::{Deserialize, Serialize};

/// The environment variable that names the file of figures. Without it nobody collects, and a bench only prints.
pub const FIGURES: &str = "BENCH_FIGURES";

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What is measured, e.g. `decision`: figures of one group are compared.
    pub group: String,
    /// Of what, e.g. `casbin`.
    pub case: String,
    /// In which unit, e.g. `ns`.
    pub unit: String,
    /// The median, where it was measured more than once.
    pub value: f64,
    /// From where to where it went.
    pub spread: Option<[f64; 2]>,
    /// What it must reach.
    pub goal: Option<Goal>,
}

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Goal {
    /// Whether this value reaches it. What is no number reaches nothing.
    pub fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

impl Figure {
    /// Without spread and goal.
    pub fn new(group: &str, case: &str, unit: &str, value: f64) -> Self {
        let (group, case, unit) = (group.to_owned(), case.to_owned(), unit.to_owned());
        Self { group, case, unit, value, spread: None, goal: None }
    }

    /// The median of what was measured, and between which quarters the middle half of it lies.
    pub fn median(group: &str, case: &str, unit: &str, measured: &[f64]) -> Self {
        let mut sorted = measured.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters: usize| sorted.get(sorted.len() * quarters / 4).or(sorted.last()).copied();
        let of = |quarters| at(quarters).unwrap_or(f64::NAN);
        Self { spread: Some([of(1), of(3)]), ..Self::new(group, case, unit, of(2)) }
    }

    /// With a goal.
    #[must_use]
    pub fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// What is said of its goal: `met`, or that it was missed; nothing without one.
    pub fn verdict(&self) -> &'static str {
        self.goal.map_or("", |goal| if goal.is_met_by(self.value) { "met" } else { "**missed**" })
    }

    /// Tells it to whoever collects, if somebody does.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn tell(&self) {
        let Some(path) = std::env::var_os(FIGURES) else { return };
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file of figures");
        let line = serde_json::to_string(self).expect("a figure is JSON");
        writeln!(file, "{line}").expect("the file of figures");
    }
}
