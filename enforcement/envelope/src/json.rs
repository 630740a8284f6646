//! JSON in which no member stands twice, at any depth: of two, readers could disagree on which counts (RFC 8259, section 4).

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why a text is not such JSON.
pub(crate) enum JsonError {
    /// Not JSON at all.
    Malformed,
    /// A member of this name stands twice.
    Twice(String),
}

/// Refuses what is not such JSON.
pub(crate) fn check(json: &[u8]) -> Result<(), JsonError> {
    let twice = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Unique(&twice).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (read, twice.take()) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(name)) => Err(JsonError::Twice(name)),
        (Err(_), None) => Err(JsonError::Malformed),
    }
}

/// Any value; a name that stands twice is left here.
#[derive(Clone, Copy)]
struct Unique<'n>(&'n RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if names.contains(&name) {
                self.0.replace(Some(name));
                return Err(A::Error::custom("a member stands twice"));
            }
            names.insert(name);
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}
