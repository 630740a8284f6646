use std::{borrow::Cow, fmt, str::FromStr};

use sdk::prelude::*;

/// A tenant's name in addresses: `[a-z][a-z0-9-]{0,62}`, no two hyphens in a row (semantics 7.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// The text is no slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a slug is 1 to 63 of `a-z`, `0-9` and single `-`, beginning with a letter")]
pub struct SlugError;

impl Slug {
    /// The application tenant's.
    pub(crate) fn platform() -> Self {
        Self("platform".to_owned())
    }

    /// What a tenant is when nothing else is said.
    pub(crate) fn organization() -> Self {
        Self("organization".to_owned())
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        let fits = (1..=63).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.contains("--");
        if fits { Ok(Self(text.to_owned())) } else { Err(SlugError) }
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        text.parse()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Slug {
    fn schema_name() -> Cow<'static, str> {
        "Slug".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(?!.*--)[a-z][a-z0-9-]{0,62}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_fit_for_a_domain_label() {
        let long = "a".repeat(63);
        for text in ["a", "acme", "acme-2", &long, "a-"] {
            assert!(text.parse::<Slug>().is_ok(), "{text}");
        }
        let longer = "a".repeat(64);
        for text in ["", "-a", "2a", "a--b", "Acme", "acme.eu", "é", &longer] {
            assert_eq!(text.parse::<Slug>(), Err(SlugError), "{text}");
        }
    }
}
