use std::fmt;

use super::segments::{self, KeyError};

/// A dotted, versioned name of something sold, such as `tenancy.subtenants.v1` (semantics section 1). The version
/// is part of the name: `….v2` may stand beside `….v1`, and old licenses keep their meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureKey<'a>(&'a str);

impl<'a> FeatureKey<'a> {
    /// Reads a key of at least two segments, the last one a version.
    pub const fn parse(text: &'a str) -> Result<Self, KeyError> {
        match segments::count(text) {
            Ok(1) => Err(KeyError::SegmentCount { found: 1, required: 2 }),
            Ok(found) if is_version(text.split_at(segments::dot(text, found - 1) + 1).1) => Ok(Self(text)),
            Ok(_) => Err(KeyError::Version),
            Err(error) => Err(error),
        }
    }

    /// The key as written.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl FeatureKey<'static> {
    /// A key written in source. A malformed one does not compile.
    #[track_caller]
    pub const fn literal(text: &'static str) -> Self {
        match Self::parse(text) {
            Ok(key) => key,
            Err(error) => panic!("{}", error.message()),
        }
    }
}

const fn is_version(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    if bytes.len() < 2 || bytes[0] != b'v' || bytes[1] == b'0' {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            return false;
        }
        at += 1;
    }
    true
}

impl fmt::Display for FeatureKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for FeatureKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_key_ends_in_its_version() {
        assert!(FeatureKey::parse("tenancy.subtenants.v1").is_ok());
        assert!(FeatureKey::parse("semantic-modeling.v12").is_ok());
        for text in ["tenancy.subtenants", "tenancy.v0", "tenancy.v", "tenancy.v1x", "tenancy.v01"] {
            assert_eq!(FeatureKey::parse(text), Err(KeyError::Version), "{text}");
        }
        assert!(FeatureKey::parse("v1").is_err());
    }
}
