//! What a command is sent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{CANARY, NAME};

/// Everything that a command with this schema is sent: the secret in every field, alone and with others, and where there is
/// no field.
pub(crate) fn inputs(schema: &Value) -> Vec<Value> {
    let all = filled(schema, &Filling { root: schema, text: CANARY, fitting: false }, 0);
    let address = format!("{CANARY}@example.com");
    let fitting = filled(schema, &Filling { root: schema, text: &address, fitting: true }, 0);
    let required: BTreeSet<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut stranger = all.as_object().cloned().unwrap_or_default();
    stranger.insert(NAME.to_owned(), CANARY.into());
    let mut inputs = one_by_one(&all, &required);
    inputs.extend(one_by_one(&fitting, &required));
    inputs.extend([all, fitting, stranger.into(), json!([CANARY]), json!(CANARY), json!({ NAME: [CANARY] })]);
    inputs
}

struct Filling<'f> {
    root: &'f Value,
    /// What every text is.
    text: &'f str,
    /// Whether what is one of a few words is one of them.
    fitting: bool,
}

fn filled(schema: &Value, filling: &Filling<'_>, depth: u32) -> Value {
    let inner = |schema| filled(schema, filling, depth + 1);
    if let Some(path) = schema["$ref"].as_str() {
        return inner(filling.root.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null));
    }
    for either in ["anyOf", "oneOf", "allOf"] {
        let branches = schema[either].as_array().into_iter().flatten();
        if let Some(branch) = branches.into_iter().find(|branch| branch["type"] != "null") {
            return inner(branch);
        }
    }
    let word = schema.get("const").or_else(|| schema["enum"].get(0));
    if let Some(word) = word.filter(|_| filling.fitting) {
        return word.clone();
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().find_map(|name| name.as_str().filter(|name| *name != "null")),
        other => other.as_str(),
    };
    match types {
        _ if depth > 12 => Value::Null,
        Some("object") => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let mut object: Map<_, _> =
                fields.iter().map(|(name, field)| (name.clone(), inner(field))).collect();
            if fields.is_empty() && schema["additionalProperties"] != false {
                object.insert(NAME.to_owned(), filling.text.into());
            }
            object.into()
        }
        Some("array") => json!([inner(&schema["items"])]),
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(1).into(),
        Some("boolean") => true.into(),
        _ => filling.text.into(),
    }
}

/// The same input with one text at a time, the rest left out where it may be: so that each comes as far as it can.
fn one_by_one(input: &Value, required: &BTreeSet<&str>) -> Vec<Value> {
    let Some(fields) = input.as_object() else { return Vec::new() };
    let of = |name: &String| {
        let kept = fields.iter().filter(|(other, _)| *other == name || required.contains(other.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
    };
    fields.keys().map(of).collect()
}
