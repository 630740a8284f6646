use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::fit;

const MAX_ENTRIES: usize = 32;
const REDACTED: &str = "[REDACTED]";

/// What a key that leads to a secret contains, in lower case and without separators.
const SUSPICIOUS: [&str; 9] =
    ["password", "token", "secret", "credential", "apikey", "jwt", "authorization", "bearer", "privatekey"];

/// Facts about an event, by name: at most 32, each value at most 1 KiB. What exceeds that is left out or cut.
///
/// A value under a key that smells of a secret (`password`, `token`, `secret`, `credential`, `api_key`, `jwt`,
/// `authorization`, `bearer`, `private_key`, however spelled) is replaced by `[REDACTED]` on its way in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "BTreeMap<String, SafeValue>")]
pub struct Metadata(BTreeMap<String, SafeValue>);

/// A value that its author declares safe to be kept, exported and read by every auditor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SafeValue(Value);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl SafeValue {
    /// Text that is no secret and contains none: no password, token, key, license bytes, and no request body. An id, a
    /// code or a key from a catalog is; whatever a stranger typed is not.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self(Value::Text(fit(text.as_ref()).into_owned()))
    }
}

impl From<bool> for SafeValue {
    fn from(flag: bool) -> Self {
        Self(Value::Flag(flag))
    }
}

impl From<i64> for SafeValue {
    fn from(number: i64) -> Self {
        Self(Value::Number(number))
    }
}

impl Metadata {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a fact, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, key: &str, value: SafeValue) -> Self {
        let key = fit(key);
        if self.0.len() < MAX_ENTRIES || self.0.contains_key(key.as_ref()) {
            let value = if is_suspicious(&key) { SafeValue::text(REDACTED) } else { value.fitted() };
            self.0.insert(key.into_owned(), value);
        }
        self
    }

    /// Whether there are no facts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The facts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SafeValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl From<BTreeMap<String, SafeValue>> for Metadata {
    fn from(facts: BTreeMap<String, SafeValue>) -> Self {
        facts.into_iter().fold(Self::new(), |metadata, (key, value)| metadata.with(&key, value))
    }
}

impl SafeValue {
    fn fitted(self) -> Self {
        match self.0 {
            Value::Text(text) => Self::text(text),
            other => Self(other),
        }
    }
}

fn is_suspicious(key: &str) -> bool {
    let letters: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SUSPICIOUS.iter().any(|smell| letters.contains(smell))
}
