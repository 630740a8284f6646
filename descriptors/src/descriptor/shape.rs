use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fact a command asks of the deployment, such as `environment=production` (semantics 2.2, step 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapePredicate<'a> {
    key: &'a str,
    value: &'a str,
}

/// The text is not `key=value` with both sides present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shape predicate is `key=value`")]
pub struct PredicateError;

impl<'a> ShapePredicate<'a> {
    /// Reads `key=value`; neither side is empty, and the key holds no `=`.
    pub const fn parse(text: &'a str) -> Result<Self, PredicateError> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != b'=' {
            at += 1;
        }
        if at == 0 || at + 1 >= bytes.len() {
            return Err(PredicateError);
        }
        let (key, value) = text.split_at(at);
        Ok(Self { key, value: value.split_at(1).1 })
    }

    /// Left of the sign.
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// Right of the sign.
    pub const fn value(&self) -> &'a str {
        self.value
    }
}

impl ShapePredicate<'static> {
    /// Enforcement applies in production.
    pub const PRODUCTION: Self = Self::literal("environment=production");
    /// Enforcement applies in containers.
    pub const CONTAINER: Self = Self::literal("packaging=container");

    /// A predicate written in source. A malformed one does not compile.
    #[track_caller]
    pub const fn literal(text: &'static str) -> Self {
        match Self::parse(text) {
            Ok(predicate) => predicate,
            Err(PredicateError) => panic!("a shape predicate is `key=value`"),
        }
    }
}

impl fmt::Display for ShapePredicate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl fmt::Debug for ShapePredicate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShapePredicate({self})")
    }
}

/// What a deployment states about itself. A key it does not state counts as satisfied: unknown means enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DeploymentShape(BTreeMap<String, String>);

impl DeploymentShape {
    /// A shape that states these facts and no others.
    pub fn stating<const N: usize>(facts: [(&str, &str); N]) -> Self {
        Self(facts.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// What the deployment states for `key`.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether this is stated to be a production deployment.
    pub fn is_production(&self) -> bool {
        self.fact("environment") == Some("production")
    }

    /// The first predicate key that this shape contradicts. Predicates of one key are alternatives; different keys
    /// must all hold.
    pub fn contradicts<'p>(&self, predicates: &[ShapePredicate<'p>]) -> Option<&'p str> {
        predicates.iter().map(|predicate| predicate.key).find(|key| {
            self.fact(key).is_some_and(|stated| {
                !predicates.iter().any(|other| other.key == *key && other.value == stated)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALTERNATIVES: &[ShapePredicate<'static>] = &[
        ShapePredicate::literal("packaging=container"),
        ShapePredicate::literal("packaging=server"),
        ShapePredicate::PRODUCTION,
    ];

    #[test]
    fn predicates_of_one_key_are_alternatives_and_different_keys_must_all_hold() {
        let shape = |packaging, environment| {
            DeploymentShape::stating([("packaging", packaging), ("environment", environment)])
                .contradicts(ALTERNATIVES)
        };
        assert_eq!(shape("server", "production"), None);
        assert_eq!(shape("container", "production"), None);
        assert_eq!(shape("desktop", "production"), Some("packaging"));
        assert_eq!(shape("server", "staging"), Some("environment"));
    }

    #[test]
    fn a_key_the_deployment_does_not_state_counts_as_satisfied() {
        assert_eq!(DeploymentShape::stating([]).contradicts(ALTERNATIVES), None);
        assert_eq!(DeploymentShape::stating([("region", "eu")]).contradicts(ALTERNATIVES), None);
    }

    #[test]
    fn both_sides_of_a_predicate_are_present() {
        for text in ["", "=", "a=", "=b", "packaging"] {
            assert_eq!(ShapePredicate::parse(text), Err(PredicateError), "{text}");
        }
        assert_eq!(ShapePredicate::parse("a=b=c").unwrap().value(), "b=c");
    }
}
