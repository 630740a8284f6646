use descriptors::{
    descriptor::EntitlementKey,
    grant::{Pattern, Rules},
};

pub(crate) fn judge(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let rule = lines.next().unwrap_or_default();
    let Ok(pattern) = Pattern::parse(rule) else {
        assert!(!is_rule(rule), "`{rule}` is a rule and must be read");
        return;
    };
    assert!(is_rule(rule), "`{rule}` is not a rule and must not be read");
    assert_eq!(pattern.as_str(), rule, "a rule is kept as written");
    assert_eq!(pattern.to_string(), rule, "and shown so");
    let json = serde_json::to_string(&pattern).expect("a rule can be written");
    let read: Pattern = serde_json::from_str(&json).expect("what is written can be read");
    assert!(read == pattern, "a rule survives writing");

    for line in lines {
        let Ok(key) = EntitlementKey::parse(line) else { continue };
        let expected = speaks_of(rule, line);
        assert_eq!(pattern.matches(key), expected, "`{rule}` and `{line}`");
        if let (true, Some(products)) = (expected, pattern.products()) {
            assert!(products.iter().any(|product| **product == *key.product()), "a rule names its products");
        }
        let deny = Rules { allow: Vec::new(), deny: vec![pattern.clone()] };
        assert_eq!(deny.denying(key).is_some(), expected);
    }
}

/// The grammar of semantics 2.5, by hand.
fn is_rule(text: &str) -> bool {
    let segments: Vec<&str> = text.split('.').collect();
    let (rest, named) = match segments.split_last() {
        Some((&"**", named)) => (true, named),
        _ => (false, segments.as_slice()),
    };
    let lengths_fit = if rest { named.len() <= 3 } else { named.len() == 4 };
    lengths_fit && named.iter().all(|segment| *segment == "*" || words(segment).into_iter().all(is_word))
}

fn words(segment: &str) -> Vec<&str> {
    let inner = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
    inner.map_or(vec![segment], |inner| inner.split(',').collect())
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a rule speaks of a key, read as a person would.
fn speaks_of(rule: &str, key: &str) -> bool {
    let rule: Vec<&str> = rule.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    for (position, segment) in rule.iter().enumerate() {
        if *segment == "**" {
            return position < key.len();
        }
        let said = key.get(position).is_some_and(|word| *segment == "*" || words(segment).contains(word));
        if !said {
            return false;
        }
    }
    rule.len() == key.len()
}
