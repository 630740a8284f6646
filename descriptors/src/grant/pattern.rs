use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::descriptor::EntitlementKey;

/// Allow and deny rules over entitlement keys. A deny always wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Grants what matches, whatever the features say.
    pub allow: Vec<Pattern>,
    /// Refuses what matches. No grant undoes it.
    pub deny: Vec<Pattern>,
}

impl Rules {
    /// No rules.
    pub const fn none() -> Self {
        Self { allow: Vec::new(), deny: Vec::new() }
    }

    /// The first allow rule that matches.
    pub fn allowing(&self, key: EntitlementKey<'_>) -> Option<&Pattern> {
        self.allow.iter().find(|pattern| pattern.matches(key))
    }

    /// The first deny rule that matches.
    pub fn denying(&self, key: EntitlementKey<'_>) -> Option<&Pattern> {
        self.deny.iter().find(|pattern| pattern.matches(key))
    }
}

/// A rule over four-segment keys (semantics 2.5): a literal, `*` for one segment, `{a,b}` for alternatives, trailing
/// `**` for the rest. `chancery.tenancy.**` and `*.*.*.list` are patterns; `chancery.*` is not, for it can match
/// no key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Any,
    OneOf(Box<[Box<str>]>),
}

/// The text is not a pattern that could match a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse rule `{text}`: {problem}")]
pub struct PatternError {
    text: String,
    problem: &'static str,
}

impl Pattern {
    /// Reads a rule. One that could match no four-segment key is refused.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let refuse = |problem| PatternError { text: text.to_owned(), problem };
        let (head, rest) = match text.strip_suffix("**") {
            Some("") => (None, true),
            Some(head) => (
                Some(head.strip_suffix('.').ok_or_else(|| refuse("`**` stands alone as last segment"))?),
                true,
            ),
            None => (Some(text), false),
        };
        let segments = head
            .map_or(Ok(Vec::new()), |head| head.split('.').map(Segment::parse).collect::<Result<Vec<_>, _>>())
            .map_err(refuse)?;
        match (segments.len(), rest) {
            (4, false) | (0..=3, true) => {
                Ok(Self { text: text.into(), segments: segments.into_boxed_slice(), rest })
            }
            (_, false) => Err(refuse("a rule has four segments, or ends in `**`")),
            (_, true) => Err(refuse("`**` stands for at least one of four segments")),
        }
    }

    /// Whether the rule speaks of this key.
    pub fn matches(&self, key: EntitlementKey<'_>) -> bool {
        let mut keys = key.segments();
        self.segments.iter().all(|segment| keys.next().is_some_and(|text| segment.matches(text)))
            && (self.rest || keys.next().is_none())
    }

    /// For each leading segment the texts it may be, or `None` where it may be any. What has fewer than four ends in
    /// `**`.
    pub fn segments(&self) -> impl Iterator<Item = Option<&[Box<str>]>> {
        self.segments.iter().map(|segment| match segment {
            Segment::Any => None,
            Segment::OneOf(words) => Some(&**words),
        })
    }

    /// The products the rule speaks of, or `None` where it speaks of any.
    pub fn products(&self) -> Option<&[Box<str>]> {
        match self.segments.first() {
            Some(Segment::OneOf(products)) => Some(products),
            Some(Segment::Any) | None => None,
        }
    }

    /// The rule as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let words = match text.strip_prefix('{') {
            Some(inner) => inner.strip_suffix('}').ok_or("`{` without `}`")?.split(',').collect(),
            None => vec![text],
        };
        if words.iter().all(|word| is_literal(word)) {
            Ok(Self::OneOf(words.into_iter().map(Box::from).collect()))
        } else {
            Err("a segment is `[a-z][a-z0-9-]*`, `*` or `{a,b}`")
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(words) => words.iter().any(|word| **word == *text),
        }
    }
}

fn is_literal(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text.into()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(EntitlementKey::parse(key).unwrap())
    }

    #[test]
    fn rules_match_segment_by_segment() {
        let key = "chancery.tenancy.tenants.create";
        for (pattern, expected) in [
            ("chancery.tenancy.tenants.create", true),
            ("chancery.tenancy.tenants.*", true),
            ("chancery.tenancy.tenants.{create,delete}", true),
            ("chancery.tenancy.tenants.{list,delete}", false),
            ("chancery.tenancy.**", true),
            ("**", true),
            ("*.*.*.create", true),
            ("*.*.*.creat", false),
            ("chancery.tenancy.tenants.**", true),
            ("chancery.signup.**", false),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern}");
        }
    }

    #[test]
    fn a_rule_that_could_match_no_key_does_not_parse() {
        for text in [
            "",
            "chancery.*",
            "a.b.c.d.e",
            "a.b.c.d.**",
            "a.**.c",
            "a.b**",
            "a.b.c.{",
            "a.b.c.{}",
            "a.b.c.{x,}",
            "a.b.c.D",
            "a.b.c.d*",
            "***",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_key_matches_itself_and_the_pattern_for_everything(
            key in "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9-]{0,8}){3}"
        ) {
            prop_assert!(matches(&key, &key));
            prop_assert!(matches("**", &key));
            prop_assert!(matches("*.*.*.*", &key));
        }

        #[test]
        fn reading_any_text_answers_without_panicking(text in "\\PC{0,40}") {
            let _ = Pattern::parse(&text);
        }
    }
}
