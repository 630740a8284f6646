use std::collections::BTreeSet;

use descriptors::grant::LicenseStatus;
use envelope::Authority;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Snapshot, SourceKind, State, Warning, warning::days_until};

/// Everything that leaves the process about a license (semantics 3.10): never the token, claims, chain or keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicenseProjection {
    /// The state of the license.
    pub status: LicenseStatus,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<SourceKind>,
    /// Why it is not usable, or why another one stands in: stage and detail.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub license_id: Option<String>,
    /// Who issued it, by id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<String>,
    /// Who holds it, by id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub customer_id: Option<String>,
    /// The installation it is bound to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub installation_id: Option<String>,
    /// What is licensed.
    pub product_summaries: Vec<ProductSummary>,
    /// The end of its validity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// Whole days until then, rounded up; 0 once past.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub days_to_expiry: Option<i64>,
    /// It is past its end, and inside its grace.
    #[serde(default)]
    pub grace_mode: bool,
    /// The end of its grace: what was signed, or the operator's cap where that is shorter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grace_until: Option<Timestamp>,
    /// The source cannot be read, and this license stands in.
    #[serde(default)]
    pub recovery_mode: bool,
    /// Until when it may.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery_until: Option<Timestamp>,
    /// From when on it is valid, where it is early.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub valid_from: Option<Timestamp>,
    /// The times that do not fit together, where the clock is not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blocked: Option<BlockedClock>,
    /// SHA-256 of the signing certificate, in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signing_certificate_fingerprint: Option<String>,
    /// Signed by a development authority.
    pub development: bool,
    /// What operators should look after.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// A clock that went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockedClock {
    /// What it said when that was noticed.
    pub now: Timestamp,
    /// The latest time that was seen before; absent where the stored one was changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Timestamp>,
}

/// One licensed product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductSummary {
    /// Product id.
    pub product: String,
    /// The tier that was bought.
    pub edition: String,
    /// Licensed modules; absent means all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modules: Option<BTreeSet<String>>,
}

impl LicenseProjection {
    /// What may be shown of a snapshot at `now`.
    pub fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let license = snapshot.held().map(crate::Held::license);
        let claims = license.map(envelope::VerifiedLicense::claims);
        Self {
            status: snapshot.status(),
            source: snapshot.held().map(crate::Held::source),
            detail: snapshot.state().detail(),
            license_id: claims.map(|claims| claims.license_id.clone()),
            issuer: claims.map(|claims| claims.issuer.id.clone()),
            customer_id: claims.map(|claims| claims.licensee.id.clone()),
            installation_id: claims.and_then(|claims| claims.binding.installation_id.clone()),
            product_summaries: claims
                .into_iter()
                .flat_map(|claims| &claims.grant.products)
                .map(|(product, grant)| ProductSummary {
                    product: product.clone(),
                    edition: grant.edition.clone(),
                    modules: grant.modules.clone(),
                })
                .collect(),
            expires_at: claims.map(|claims| claims.expires_at),
            days_to_expiry: claims.map(|claims| days_until(claims.expires_at, now)),
            grace_mode: matches!(snapshot.state(), State::Grace(_)),
            grace_until: snapshot.held().and_then(|held| {
                let until = held.grace_until();
                (until > held.license().claims().expires_at).then_some(until)
            }),
            recovery_mode: matches!(snapshot.state(), State::Recovery(_)),
            recovery_until: match snapshot.state() {
                State::Recovery(state) => Some(state.until()),
                _ => None,
            },
            valid_from: match snapshot.state() {
                State::Invalid(state) => state.refusal().valid_from,
                _ => None,
            },
            blocked: match snapshot.state() {
                State::Blocked(state) => {
                    let (now, last_seen) = (state.rollback().now(), state.rollback().last_seen());
                    Some(BlockedClock { now, last_seen })
                }
                _ => None,
            },
            signing_certificate_fingerprint: license.map(|license| license.signer_fingerprint().to_owned()),
            development: license.is_some_and(|license| license.authority() == Authority::Development),
            warnings: snapshot.warnings(now),
        }
    }
}
