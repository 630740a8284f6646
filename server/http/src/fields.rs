//! How the texts of a path or a query become fields of an input.

use std::collections::HashMap;

use schemars::Schema;
use serde_json::Value;

/// The fields of an input whose values are not texts.
#[derive(Debug)]
pub(crate) struct Fields(HashMap<String, fn(&Value) -> bool>);

impl Fields {
    pub(crate) fn of(input: &Schema) -> Self {
        let root = input.as_value();
        let properties = root.get("properties").and_then(Value::as_object).into_iter().flatten();
        Self(properties.filter_map(|(name, property)| Some((name.clone(), takes(property, root)?))).collect())
    }

    /// The text as the field's kind of value. One that is none stays a text: the command says what is wrong with it.
    pub(crate) fn read(&self, name: &str, text: &str) -> Value {
        let typed = self.0.get(name).and_then(|takes| serde_json::from_str(text).ok().filter(takes));
        typed.unwrap_or_else(|| text.into())
    }
}

/// What a property takes besides texts; nothing, if it takes texts.
fn takes(property: &Value, root: &Value) -> Option<fn(&Value) -> bool> {
    let mut types = Vec::new();
    collect_types(property, root, &mut types);
    if types.contains(&"string") {
        None
    } else if types.contains(&"number") {
        Some(Value::is_number)
    } else if types.contains(&"integer") {
        Some(|value| value.is_i64() || value.is_u64())
    } else if types.contains(&"boolean") {
        Some(Value::is_boolean)
    } else {
        None
    }
}

fn collect_types<'s>(schema: &'s Value, root: &'s Value, types: &mut Vec<&'s str>) {
    match schema.get("type") {
        Some(Value::String(one)) => types.push(one),
        Some(Value::Array(several)) => types.extend(several.iter().filter_map(Value::as_str)),
        _ => {}
    }
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix("#/$defs/"));
    let referred = referred.and_then(|name| root.get("$defs")?.get(name));
    let branches =
        ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array());
    for inner in referred.into_iter().chain(branches.flatten()) {
        collect_types(inner, root, types);
    }
}
