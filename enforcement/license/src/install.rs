//! Installing a license through the program (semantics 3.6, 3.9).

use std::collections::BTreeSet;

use descriptors::grant::LicenseStatus;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    LicenseProjection, MemoryError, Snapshot, SourceKind, engine::Candidate, reading::Refusal, state::State,
};

/// What would happen if a license were installed. Nothing has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The license, as it would run.
    pub license: LicenseProjection,
    /// Whether it would be installed.
    pub installable: bool,
    /// What it would take the place of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<Replaced>,
    /// What an operator should know before.
    pub warnings: Vec<String>,
}

/// The license that another one takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// Its id.
    pub license_id: String,
    /// Its status.
    pub status: LicenseStatus,
    /// Where it came from.
    pub source: SourceKind,
    /// Its end.
    pub expires_at: Timestamp,
}

/// What was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// The license.
    pub license: LicenseProjection,
    /// The id of the license whose place it took.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_license_id: Option<String>,
}

/// Why a license is not installed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is no license service.
    #[error("no license service is installed")]
    Unenforced,
    /// There is no database to install it in.
    #[error("a license is installed in the database, and there is none")]
    NoDatabase,
    /// It is not usable here and now.
    #[error("the license would be {}{}", status.as_str(), detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    NotUsable {
        /// The status it would have.
        status: LicenseStatus,
        /// Why.
        detail: Option<String>,
        /// Which check failed, where one did. A license that is early says from when on it is valid.
        refusal: Option<Refusal>,
    },
    /// Another operator was faster.
    #[error("another license was installed or removed meanwhile")]
    Conflict,
    /// There is no recipient key to protect it with.
    #[error("the recipient key cannot be read, and what is installed is protected by it")]
    NoKey,
    /// The database failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The database did not answer when asked what is installed now.
    #[error("the database does not answer")]
    Unreachable,
}

impl InstallError {
    pub(crate) fn not_usable(candidate: &Snapshot) -> Self {
        let refusal = match candidate.state() {
            State::Invalid(state) => Some(state.refusal().clone()),
            State::Revoked(state) => Some(state.refusal().clone()),
            _ => None,
        };
        Self::NotUsable { status: candidate.status(), detail: candidate.state().detail(), refusal }
    }
}

impl Preview {
    pub(crate) fn of(present: &Snapshot, candidate: &Snapshot, heals: bool, now: Timestamp) -> Self {
        let replaces = present.held().map(|held| {
            let claims = held.license().claims();
            Replaced {
                license_id: claims.license_id.clone(),
                status: present.status(),
                source: held.source(),
                expires_at: claims.expires_at,
            }
        });
        let installable = candidate.status().is_usable();
        let mut warnings = compare(present, candidate);
        if heals {
            warnings
                .push("it was issued later than any license before, so the clock counts as right".to_owned());
        }
        let license = LicenseProjection::of(candidate, now);
        Self { license, installable, replaces, warnings }
    }
}

impl Candidate {
    pub(crate) fn snapshot(&self, like: &Snapshot) -> Snapshot {
        Snapshot::new(self.state.clone(), like.ladder.clone(), None)
    }
}

/// In which ways a license would be less than the present one.
fn compare(present: &Snapshot, candidate: &Snapshot) -> Vec<String> {
    let mut warnings = Vec::new();
    let (Some(present), Some(candidate)) = (present.held(), candidate.held()) else { return warnings };
    let (old, new) = (present.license().claims(), candidate.license().claims());
    if new.license_id == old.license_id {
        warnings.push(format!("it has the id of the present license, `{}`", old.license_id));
    }
    if new.issued_at < old.issued_at {
        warnings
            .push(format!("it was issued at {}, before the present one at {}", new.issued_at, old.issued_at));
    }
    if new.expires_at < old.expires_at {
        warnings
            .push(format!("it expires at {}, before the present one at {}", new.expires_at, old.expires_at));
    }
    let gone = |old: &BTreeSet<&String>, new: &BTreeSet<&String>| {
        old.difference(new).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let products = gone(&old.grant.products.keys().collect(), &new.grant.products.keys().collect());
    if !products.is_empty() {
        warnings.push(format!("it lacks products of the present one: {products}"));
    }
    let features = gone(&old.grant.features.keys().collect(), &new.grant.features.keys().collect());
    if !features.is_empty() {
        warnings.push(format!("it lacks features of the present one: {features}"));
    }
    warnings
}
