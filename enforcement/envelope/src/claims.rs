//! What a license says, as JSON (semantics 3.5).

use descriptors::grant::Grant;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    error::{excerpt, excerpt_of_path},
    json::{self, JsonError},
};

/// The claims of a license, schema version 1. Times are RFC 3339.
///
/// Claims this build does not know are kept in `other` and have no effect. A claim that must be understood to be obeyed
/// therefore needs a new [`Schema`] version, or a place in `binding` or `grant`, where unknown members are refused.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The version of this document.
    pub schema: Schema,
    /// The vendor's name for this license; a renewal has another one.
    pub license_id: String,
    /// Who grants.
    pub issuer: Party,
    /// To whom.
    pub licensee: Party,
    /// Who owns the installation; the licensee, or whom the licensee runs it for.
    pub installation_owner: Party,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub expires_at: Timestamp,
    /// Days past `expiresAt` in which it still counts, within the operator's own cap.
    pub grace_days: u16,
    /// Where it is valid.
    pub binding: Binding,
    /// What it permits.
    pub grant: Grant,
    /// Certificate policies under which it is issued, as dotted object identifiers. The signer's path must be valid for
    /// each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asserted_policies: Vec<String>,
    /// What was known of revocation at the time of issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// Anything the vendor wants to carry; without effect.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Claims this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

const ISSUER: &str = "issuer";
const LICENSEE: &str = "licensee";
const INSTALLATION_OWNER: &str = "installationOwner";

/// Schema versions this build understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Schema {
    /// The first.
    #[serde(rename = "urn:chancery:license:1")]
    V1,
}

/// One of the parties to a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Party {
    /// Stable id in the vendor's books. Not empty.
    pub id: String,
    /// Name for people.
    pub name: String,
}

/// The installation a license is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    /// The one installation; absent means any that holds the recipient key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
    /// Domains it may serve under; empty means any.
    #[serde(default)]
    pub base_domains: Vec<String>,
}

/// Revocation material stapled to a license. It can only take away: a certificate that a stapled list names is revoked,
/// however old the list is; one that it does not name is still looked up in the deployment's own lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revocation {
    /// Certificate revocation lists (RFC 5280, section 5): DER in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crls: Vec<String>,
    /// Where operators may ask the vendor for the state of this license; never followed by the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reference: Option<String>,
}

/// Why signed claims are not a license.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Not a JSON object with a `schema`.
    #[error("the claims are not a JSON object with a schema")]
    NotClaims,
    /// A member stands twice, at whatever depth: of two, readers could disagree on which counts.
    #[error("the claims state `{name}` twice")]
    Twice {
        /// Its name, cut to 40 characters.
        name: String,
    },
    /// A schema version this build does not know.
    #[error("the claims have the schema `{found}`, which this build does not know")]
    UnknownSchema {
        /// What they say, cut to 40 characters.
        found: String,
    },
    /// A claim does not fit the schema. Its path is named, its value is not.
    #[error("the claim `{path}` does not fit the schema")]
    Misfit {
        /// The claim, as in `grant.quotas`.
        path: String,
    },
    /// A claim is absent.
    #[error("the claim `{path}` is absent")]
    Absent {
        /// The claim.
        path: String,
    },
    /// A party is not stated, or has a blank id: the license is nobody's (semantics 2.6, `PARTY_RESOLUTION_FAILED`).
    #[error("the license does not state its {role}")]
    Party {
        /// `issuer`, `licensee` or `installationOwner`.
        role: &'static str,
    },
    /// An id, a name or a domain that cannot be shown: with control characters, or longer than 256 characters.
    #[error("the claim `{path}` holds control characters or more than 256 of any")]
    Unprintable {
        /// The claim.
        path: &'static str,
    },
    /// An id is empty.
    #[error("the claim `{path}` is empty")]
    Empty {
        /// The claim.
        path: &'static str,
    },
    /// `expiresAt` is not after `notBefore` and `issuedAt`.
    #[error("the license ends at {expires_at}, before it begins")]
    NeverValid {
        /// Its end.
        expires_at: Timestamp,
    },
    /// A development license that counts for longer than its authority may vouch (semantics 3.6).
    #[error("a development license counts for at most {limit_days} days, grace included")]
    DevelopmentTooLong {
        /// The bound.
        limit_days: i64,
    },
}

impl Claims {
    /// Reads claims: the schema version first, then the shape, then what the shape cannot say.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, ClaimsError> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Versioned {
            schema: String,
        }
        json::check(json).map_err(|problem| match problem {
            JsonError::Malformed => ClaimsError::NotClaims,
            JsonError::Twice(name) => ClaimsError::Twice { name: excerpt(&name) },
        })?;
        let Versioned { schema } = serde_json::from_slice(json).map_err(|_| ClaimsError::NotClaims)?;
        if serde_json::from_value::<Schema>(Value::from(schema.as_str())).is_err() {
            return Err(ClaimsError::UnknownSchema { found: excerpt(&schema) });
        }

        let claims: Self = fitting(json)?;
        if claims.license_id.trim().is_empty() {
            return Err(ClaimsError::Empty { path: "licenseId" });
        }
        for (role, party) in [
            (ISSUER, &claims.issuer),
            (LICENSEE, &claims.licensee),
            (INSTALLATION_OWNER, &claims.installation_owner),
        ] {
            if party.id.trim().is_empty() {
                return Err(ClaimsError::Party { role });
            }
        }
        claims.check_printable()?;
        if claims.binding.installation_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            return Err(ClaimsError::Empty { path: "binding.installationId" });
        }
        if claims.expires_at <= claims.not_before.max(claims.issued_at) {
            return Err(ClaimsError::NeverValid { expires_at: claims.expires_at });
        }
        Ok(claims)
    }

    /// What is shown to people and written to logs.
    fn check_printable(&self) -> Result<(), ClaimsError> {
        let parties = [
            (ISSUER, &self.issuer),
            (LICENSEE, &self.licensee),
            (INSTALLATION_OWNER, &self.installation_owner),
        ];
        let of_parties =
            parties.into_iter().flat_map(|(role, party)| [(role, &party.id), (role, &party.name)]);
        let shown = std::iter::once(("licenseId", &self.license_id))
            .chain(of_parties)
            .chain(self.binding.installation_id.iter().map(|text| ("binding.installationId", text)))
            .chain(self.binding.base_domains.iter().map(|text| ("binding.baseDomains", text)));
        for (path, text) in shown {
            if text.chars().any(char::is_control) || text.chars().count() > 256 {
                return Err(ClaimsError::Unprintable { path });
            }
        }
        Ok(())
    }

    /// The last instant at which the license can count: `expiresAt` and the signed grace.
    pub fn grace_ends_at(&self) -> Timestamp {
        let grace = SignedDuration::from_hours(24 * i64::from(self.grace_days));
        self.expires_at.checked_add(grace).unwrap_or(Timestamp::MAX)
    }

    /// The published JSON Schema of version 1.
    pub fn json_schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

fn fitting<T: DeserializeOwned>(json: &[u8]) -> Result<T, ClaimsError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json)).map_err(|error| {
        let path = excerpt_of_path(&error.path().to_string());
        // INVARIANT: of serde's texts only this one is passed on. It holds a name of ours; others quote claims.
        match error.inner().to_string() {
            text if text.starts_with("missing field `") => {
                let field = text.split('`').nth(1).unwrap_or_default();
                let parties = [ISSUER, LICENSEE, INSTALLATION_OWNER];
                if let Some(role) = parties.into_iter().find(|role| path == "." && *role == field) {
                    return ClaimsError::Party { role };
                }
                ClaimsError::Absent {
                    path: if path == "." { field.to_owned() } else { format!("{path}.{field}") },
                }
            }
            _ => ClaimsError::Misfit { path },
        }
    })
}
