//! The decision whether a command may run (semantics section 2): a pure function of what is asked, what is held and
//! what this build knows. No clock, no I/O, no allocation; the same question has the same answer.
//!
//! [`decide`] answers. Gates that stand apart ask in two halves, [`cover`] and [`entitle`]. [`explain`] gives the same answer with every step on the way and the smallest
//! changes that would allow the command. [`Compiler`] makes tables of the answers, for reading at the speed of a lookup.
//!
//! **Invariant: deny before allow.** A deny rule is looked for before anything that grants, and no grant undoes it.

mod decision;
mod explain;
mod question;
mod remedy;
mod steps;
mod table;

pub use decision::{Because, Decision, Exemption, Source, Verdict};
pub use explain::{Explanation, Step, explain};
pub use question::{Baseline, Described, Question};
pub use remedy::{Change, Remedy};
pub use steps::{cover, decide, entitle};
pub use table::{Compiler, Ground, Table};
