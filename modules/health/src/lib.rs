//! Liveness: the smallest module. Read this one first.
//!
//! A module is a type that its commands name, and one file per command. This one has no state, no tables and no errors
//! of its own. Its command carries no license descriptor on purpose: liveness must answer without a license, so
//! operators allowlist the prefix `health.` with that reason.

pub mod live;

use std::convert::Infallible;

use sdk::prelude::*;

/// The module.
#[derive(Clone, Copy, Debug)]
pub struct Health;

impl Module for Health {
    const NAME: &'static str = "health";
    const PRODUCT: &'static str = "chancery";
    type Error = Infallible;
}
