//! What every tenant of this deployment inherits.

pub mod clear;
pub mod set;
pub mod show;

use jiff::Timestamp;
use sdk::prelude::*;

use crate::Terms;

/// What every tenant inherits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// Which state of it this is; who changes it says which one was seen. 0 until the first change.
    pub revision: i64,
    /// The terms, as far as the license permits them. Absent: the whole license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// Who changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
}
