use std::{any::Any, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::Module;

/// The address of a command: `{module}.{service}.{command}`, each segment `[a-z][a-z0-9-]*` (semantics section 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(&'static str);

/// The text is not three segments of `[a-z][a-z0-9-]*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command id is `{{module}}.{{service}}.{{command}}`, each segment `[a-z][a-z0-9-]*`")]
pub struct CommandIdError;

impl CommandId {
    /// Reads an id.
    pub const fn parse(text: &'static str) -> Result<Self, CommandIdError> {
        let bytes = text.as_bytes();
        let (mut at, mut start, mut dots) = (0, 0, 0);
        while at < bytes.len() {
            match bytes[at] {
                b'.' if at > start => {
                    dots += 1;
                    start = at + 1;
                }
                b'a'..=b'z' => {}
                b'0'..=b'9' | b'-' if at > start => {}
                _ => return Err(CommandIdError),
            }
            at += 1;
        }
        if dots == 2 && start < bytes.len() { Ok(Self(text)) } else { Err(CommandIdError) }
    }

    /// An id written in source for a command of `M`. One that is malformed, or whose first segment is not the module's
    /// name, does not compile.
    #[track_caller]
    pub const fn of<M: Module>(text: &'static str) -> Self {
        match Self::parse(text) {
            Ok(id) if same(id.module(), M::NAME) => id,
            Ok(_) => panic!("the first segment of a command's id is the name of its module"),
            Err(CommandIdError) => {
                panic!("a command id is `{{module}}.{{service}}.{{command}}`, each segment `[a-z][a-z0-9-]*`")
            }
        }
    }

    /// The id as written.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// First segment: the module that owns the command.
    pub const fn module(self) -> &'static str {
        let bytes = self.0.as_bytes();
        let mut at = 0;
        while bytes[at] != b'.' {
            at += 1;
        }
        self.0.split_at(at).0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({self})")
    }
}

/// Something statically true of a command that the kernel does not look into. Others read it by its type.
pub trait Facet: Any + Send + Sync + fmt::Debug {}

impl<T: Any + Send + Sync + fmt::Debug> Facet for T {}

/// Everything statically true of a command: known without an instance, and one linker symbol with its handler.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    id: CommandId,
    summary: &'static str,
    input: fn() -> Schema,
    output: fn() -> Schema,
    facets: &'static [&'static dyn Facet],
}

impl Contract {
    /// A contract of a command that takes `I` and answers `O`. `summary` is what operators read.
    pub const fn of<I: JsonSchema, O: JsonSchema>(
        id: CommandId,
        summary: &'static str,
        facets: &'static [&'static dyn Facet],
    ) -> Self {
        Self::new(id, summary, schema_of::<I>, schema_of::<O>, facets)
    }

    pub(crate) const fn new(
        id: CommandId,
        summary: &'static str,
        input: fn() -> Schema,
        output: fn() -> Schema,
        facets: &'static [&'static dyn Facet],
    ) -> Self {
        Self { id, summary, input, output, facets }
    }

    /// The command's address.
    pub const fn id(&self) -> CommandId {
        self.id
    }

    /// One sentence for operators.
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// JSON Schema of the input.
    pub fn input(&self) -> Schema {
        (self.input)()
    }

    /// JSON Schema of the output.
    pub fn output(&self) -> Schema {
        (self.output)()
    }

    /// The facet of this type.
    pub fn facet<F: Facet>(&self) -> Option<&'static F> {
        self.facets.iter().find_map(|facet| (*facet as &'static dyn Any).downcast_ref())
    }

    /// All facets of this type, in the order they were written.
    pub fn facets<F: Facet>(&self) -> impl Iterator<Item = &'static F> {
        self.facets.iter().filter_map(|facet| (*facet as &'static dyn Any).downcast_ref())
    }
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

fn schema_of<T: JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_three_segments() {
        assert_eq!(CommandId::parse("tenancy.tenants.create").unwrap().module(), "tenancy");
        for text in
            ["", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "A.b.c", "a.b.1c", "a.b.c ", "a.-b.c", "a.b.é"]
        {
            assert_eq!(CommandId::parse(text), Err(CommandIdError), "{text}");
        }
    }
}
