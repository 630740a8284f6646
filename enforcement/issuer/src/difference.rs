use serde::Serialize;
use serde_json::Value;

/// One place at which two documents differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Where, as a JSON pointer (RFC 6901).
    pub path: String,
    /// What was there; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Every place at which `after` differs from `before`, in the order of `after`. A list is one place.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(before), Some(after), &mut found);
    found
}

fn walk(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) {
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        for name in after.keys().chain(gone) {
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            walk(path, before.get(name), after.get(name), found);
        }
    } else if before != after {
        found.push(Difference { path, before: before.cloned(), after: after.cloned() });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_went_and_changed_is_found_and_what_stayed_is_not() {
        let before = json!({ "a": 1, "b": { "x": [1, 2], "y": true }, "gone": {}, "s/t": null });
        let after = json!({ "a": 1, "b": { "x": [2, 1], "y": true, "z": "new" }, "s/t": 0 });
        let found = differences(&before, &after);
        let text = serde_json::to_value(&found).unwrap();
        assert_eq!(
            text,
            json!([
                { "path": "/b/x", "before": [1, 2], "after": [2, 1] },
                { "path": "/b/z", "after": "new" },
                { "path": "/s~1t", "before": null, "after": 0 },
                { "path": "/gone", "before": {} },
            ])
        );
        assert_eq!(differences(&after, &after), []);
    }
}
