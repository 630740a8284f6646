use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::segments::{self, KeyError};

/// A dotted name of something counted, such as `tenants.root.max` (semantics section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey<'a>(&'a str);

impl<'a> QuotaKey<'a> {
    /// Reads a key of at least two segments.
    pub const fn parse(text: &'a str) -> Result<Self, KeyError> {
        match segments::count(text) {
            Ok(1) => Err(KeyError::SegmentCount { found: 1, required: 2 }),
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(error),
        }
    }

    /// The key as written.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl fmt::Display for QuotaKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for QuotaKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuotaKey({self})")
    }
}

/// How a quota measures (semantics 5.2 and 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuotaKind {
    /// Live things that exist now; deleting one frees a slot.
    Cardinality,
    /// Units used within a window; the window resets, single calls do not.
    Metered,
}

/// A quota as a command names it: the key and how it measures. The kind is stated so that a metered command of
/// weight 0 does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quota<'a> {
    /// What is counted.
    pub key: QuotaKey<'a>,
    /// How.
    pub kind: QuotaKind,
}

impl Quota<'static> {
    /// A quota over live things, written in source. A malformed key does not compile.
    #[track_caller]
    pub const fn cardinality(text: &'static str) -> Self {
        Self::literal(text, QuotaKind::Cardinality)
    }

    /// A quota over use within a window, written in source. A malformed key does not compile.
    #[track_caller]
    pub const fn metered(text: &'static str) -> Self {
        Self::literal(text, QuotaKind::Metered)
    }

    #[track_caller]
    const fn literal(text: &'static str, kind: QuotaKind) -> Self {
        match QuotaKey::parse(text) {
            Ok(key) => Self { key, kind },
            Err(error) => panic!("{}", error.message()),
        }
    }
}
