use std::collections::BTreeSet;

use descriptors::grant::LicenseStatus;
use envelope::Authority;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Snapshot, State};

/// Everything that leaves the process about a license (semantics 3.10): never the token, claims, chain or keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicenseProjection {
    /// The state of the license.
    pub status: LicenseStatus,
    /// Why it was refused: stage and detail.
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
    /// SHA-256 of the signing certificate, in hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signing_certificate_fingerprint: Option<String>,
    /// Signed by a development authority.
    pub development: bool,
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
            detail: match snapshot.state() {
                State::Invalid(refusal) => Some(format!("{}: {}", refusal.stage, refusal.detail)),
                _ => None,
            },
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
            signing_certificate_fingerprint: license.map(|license| license.signer_fingerprint().to_owned()),
            development: license.is_some_and(|license| license.authority() == Authority::Development),
        }
    }
}

fn days_until(end: Timestamp, now: Timestamp) -> i64 {
    const DAY: i128 = SignedDuration::from_hours(24).as_nanos();
    let left = end.duration_since(now).as_nanos().max(0);
    i64::try_from((left + DAY - 1) / DAY).unwrap_or(i64::MAX)
}
