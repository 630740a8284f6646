//! Vectors nobody here wrote, through the public doors: what others say is valid and what is not. Where each set comes
//! from stands beside it in ORIGIN.md; how many agree stands in docs/conformance.md, which is held to what ran here.

mod jose;
mod page;
mod pkits;
mod primitives;
mod tally;
