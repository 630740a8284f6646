//! The keys there are, read off the schema of the sections: so a section is written down once.

use schemars::{Schema, generate::SchemaSettings};
use serde_json::Value;

use crate::Config;

impl Config {
    /// The JSON Schema of the file (draft 2020-12).
    pub fn json_schema() -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Self>()
    }
}

/// A place in the configuration: the root, a section, or one key.
#[derive(Clone, Copy)]
pub(crate) struct Place<'s>(&'s Value);

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Section,
    Text,
    Path,
    Integer,
    Boolean,
    Texts,
    Paths,
    /// A list of sections, which the environment cannot spell.
    Sections,
}

impl<'s> Place<'s> {
    pub(crate) fn root(schema: &'s Schema) -> Self {
        Self(schema.as_value())
    }

    /// The place of this name within the section.
    pub(crate) fn child(self, name: &str) -> Option<Self> {
        let named = self.own("properties").and_then(|properties| properties.get(name));
        named.or_else(|| self.own("additionalProperties").filter(|any| any.is_object())).map(Self)
    }

    /// The sections that must be there.
    pub(crate) fn required(self) -> impl Iterator<Item = &'s str> {
        self.own("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it is a secret, which stands elsewhere.
    pub(crate) fn is_secret(self) -> bool {
        self.own("writeOnly").is_some_and(|secret| secret == true)
    }

    pub(crate) fn kind(self) -> Kind {
        match self.own("type").and_then(single) {
            Some("object") => Kind::Section,
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("array") => match self.own("items").and_then(|items| items.get("type")).and_then(single) {
                Some("string") if self.is_of_paths() => Kind::Paths,
                Some("string") => Kind::Texts,
                _ => Kind::Sections,
            },
            _ if self.own("format").is_some_and(|format| format == "path") => Kind::Path,
            _ => Kind::Text,
        }
    }

    fn is_of_paths(self) -> bool {
        self.own("items").and_then(|items| items.get("format")).is_some_and(|format| format == "path")
    }

    /// A keyword of the schema here; an optional section states it in the branch beside `null`.
    fn own(self, keyword: &str) -> Option<&'s Value> {
        let branches = self.0.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        std::iter::once(self.0).chain(branches).find_map(|schema| schema.get(keyword))
    }
}

/// The type, or the one beside `null`.
fn single(types: &Value) -> Option<&str> {
    match types {
        Value::String(one) => Some(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}
