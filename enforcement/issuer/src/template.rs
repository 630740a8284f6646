use std::path::Path;

use descriptors::grant::Grant;
use envelope::{
    Claims, LicenseRequest,
    claims::{Binding, Party, Schema},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a customer is sold, as TOML or JSON. Every member that is not optional must be there.
///
/// ```toml
/// validDays = 365
/// graceDays = 14
/// baseDomains = ["acme.example"]
/// issuer = { id = "vendor", name = "Vendor" }
/// licensee = { id = "acme", name = "Acme" }
///
/// [grant]
/// products = { chancery = { edition = "pro" } }
/// features = { "tenancy.subtenants.v1" = true }
/// commands = { allow = [], deny = [] }
/// quotas = { "tenants.root.max" = 50 }
/// ```
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// The license's id; a new one is made where it is absent.
    pub license_id: Option<String>,
    /// Who grants.
    pub issuer: Party,
    /// To whom.
    pub licensee: Party,
    /// Who owns the installation; the licensee where it is absent.
    pub installation_owner: Option<Party>,
    /// From when on it is valid (RFC 3339); the time of issue where it is absent.
    pub not_before: Option<Timestamp>,
    /// Days from then until it expires.
    pub valid_days: u32,
    /// Days past its expiry in which it still counts.
    pub grace_days: u16,
    /// Domains it may serve under; any where it is absent.
    #[serde(default)]
    pub base_domains: Vec<String>,
    /// What it permits.
    pub grant: Grant,
    /// Anything to be carried along.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// Why a text is not a template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Neither `.toml` nor `.json`.
    #[error("a template is a `.toml` or a `.json` file")]
    Extension,
    /// Not TOML, or not a template.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Not JSON, or not a template.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Template {
    /// Reads a template in the format its file name states.
    pub fn parse(file: &Path, text: &str) -> Result<Self, TemplateError> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(toml::from_str(text)?),
            Some("json") => Ok(serde_json::from_str(text)?),
            _ => Err(TemplateError::Extension),
        }
    }

    /// The claims of a license for one deployment. `license_id` counts where the template names none.
    pub fn claims(self, request: &LicenseRequest, license_id: &str, at: Timestamp) -> Claims {
        let not_before = self.not_before.unwrap_or(at);
        let validity = SignedDuration::from_hours(24 * i64::from(self.valid_days));
        Claims {
            schema: Schema::V1,
            license_id: self.license_id.unwrap_or_else(|| license_id.to_owned()),
            installation_owner: self.installation_owner.unwrap_or_else(|| self.licensee.clone()),
            issuer: self.issuer,
            licensee: self.licensee,
            issued_at: at,
            not_before,
            expires_at: not_before.checked_add(validity).unwrap_or(Timestamp::MAX),
            grace_days: self.grace_days,
            binding: Binding {
                installation_id: Some(request.installation_id.clone()),
                base_domains: self.base_domains,
            },
            grant: self.grant,
            asserted_policies: Vec::new(),
            revocation: None,
            metadata: self.metadata,
            other: Map::new(),
        }
    }
}
