use std::fmt;

use super::segments::{self, KeyError};

/// `{product}.{module}.{service}.{command}`: what a license grants or denies (semantics section 1). The last
/// three segments are the command's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntitlementKey<'a> {
    product: &'a str,
    command: &'a str,
}

impl<'a> EntitlementKey<'a> {
    /// Reads a key of exactly four segments.
    pub const fn parse(text: &'a str) -> Result<Self, KeyError> {
        match segments::count(text) {
            Ok(4) => {
                let (product, rest) = text.split_at(segments::dot(text, 1));
                Ok(Self { product, command: rest.split_at(1).1 })
            }
            Ok(found) => Err(KeyError::SegmentCount { found, required: 4 }),
            Err(error) => Err(error),
        }
    }

    /// The key of a command of `product`, by the command's three-segment id.
    pub const fn of(product: &'a str, command: &'a str) -> Result<Self, KeyError> {
        match (segments::count(product), segments::count(command)) {
            (Ok(1), Ok(3)) => Ok(Self { product, command }),
            (Ok(1), Ok(found)) => Err(KeyError::SegmentCount { found, required: 3 }),
            (Ok(found), Ok(_)) => Err(KeyError::SegmentCount { found, required: 1 }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// First segment.
    pub const fn product(&self) -> &'a str {
        self.product
    }

    /// Second segment.
    pub const fn module(&self) -> &'a str {
        self.command.split_at(segments::dot(self.command, 1)).0
    }

    /// The last three segments, `{module}.{service}.{command}`.
    pub const fn command_id(&self) -> &'a str {
        self.command
    }

    /// The four segments in order.
    pub fn segments(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        std::iter::once(self.product).chain(self.command.split('.'))
    }
}

impl EntitlementKey<'static> {
    /// A key written in source. A malformed one does not compile.
    #[track_caller]
    pub const fn literal(text: &'static str) -> Self {
        match Self::parse(text) {
            Ok(key) => key,
            Err(error) => panic!("{}", error.message()),
        }
    }

    /// The key of a command written in source. A malformed one does not compile.
    #[track_caller]
    pub const fn literal_of(product: &'static str, command: &'static str) -> Self {
        match Self::of(product, command) {
            Ok(key) => key,
            Err(error) => panic!("{}", error.message()),
        }
    }
}

impl fmt::Display for EntitlementKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.product, self.command)
    }
}

impl fmt::Debug for EntitlementKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntitlementKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_exactly_four_segments() {
        let key = EntitlementKey::parse("chancery.tenancy.tenants.create").unwrap();
        assert_eq!(key.product(), "chancery");
        assert_eq!(key.module(), "tenancy");
        assert_eq!(key.command_id(), "tenancy.tenants.create");
        assert_eq!(key.segments().collect::<Vec<_>>(), ["chancery", "tenancy", "tenants", "create"]);
        assert_eq!(
            EntitlementKey::parse("tenancy.tenants.create"),
            Err(KeyError::SegmentCount { found: 3, required: 4 })
        );
    }

    #[test]
    fn text_and_literals_are_read_by_one_grammar() {
        for (text, error) in [
            ("", KeyError::EmptySegment { at: 0 }),
            ("a..b.c", KeyError::EmptySegment { at: 2 }),
            ("a.b.c.", KeyError::EmptySegment { at: 6 }),
            ("a.b.c.D", KeyError::Character { at: 6 }),
            ("a.b.1c.d", KeyError::Character { at: 4 }),
            ("a.b.c.d é", KeyError::Character { at: 7 }),
        ] {
            assert_eq!(EntitlementKey::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_key_made_of_parts_equals_the_key_read_whole() {
        assert_eq!(
            EntitlementKey::of("chancery", "tenancy.tenants.create"),
            EntitlementKey::parse("chancery.tenancy.tenants.create")
        );
    }
}
