//! How a set of vectors came out.

/// The numbers of a row of docs/conformance.md, and what does not fit them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Vectors that ran.
    pub(crate) cases: usize,
    /// Those whose verdict is ours.
    pub(crate) agree: usize,
    /// Those that are valid there and refused here, each with its reason.
    pub(crate) stricter: usize,
    /// Vectors of the same set that did not run.
    pub(crate) left_out: usize,
    /// Those that came out as nobody expects.
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    /// Notes a vector that has a verdict, and no reason to be refused if it is valid.
    pub(crate) fn verdict(&mut self, name: impl FnOnce() -> String, valid: bool, accepted: bool) {
        self.cases += 1;
        if valid == accepted {
            self.agree += 1;
        } else {
            self.wrong.push(format!("{}: {}", name(), words(valid, accepted)));
        }
    }

    /// Notes a vector that is valid there and outside what is accepted here.
    pub(crate) fn outside(&mut self, name: impl FnOnce() -> String, accepted: bool) {
        self.cases += 1;
        if accepted {
            self.wrong.push(format!("{}: is accepted, but stands on the list of what is not", name()));
        } else {
            self.stricter += 1;
        }
    }

    /// All of it, set by set.
    pub(crate) fn sum<'t>(tallies: impl IntoIterator<Item = &'t Self>) -> Self {
        tallies.into_iter().fold(Self::default(), |mut sum, tally| {
            sum.cases += tally.cases;
            sum.agree += tally.agree;
            sum.stricter += tally.stricter;
            sum.left_out += tally.left_out;
            sum.wrong.extend_from_slice(&tally.wrong);
            sum
        })
    }

    pub(crate) fn assert_nothing_wrong(&self) {
        assert!(self.wrong.is_empty(), "of {} vectors:\n{}", self.cases, self.wrong.join("\n"));
    }
}

fn words(valid: bool, accepted: bool) -> String {
    let verdict = |good| if good { "valid" } else { "invalid" };
    format!("{} there, {} here", verdict(valid), verdict(accepted))
}
