use std::{fmt, str::FromStr};

/// The name of an authority, a signer or a key in its folder, made of what people call it: lower case, with a dash for
/// everything that is neither letter, digit nor underscore. `Acme Signer 2026` is `acme-signer-2026`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text has no letter or digit to make a name of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` has no letter or digit to make a file name of")]
pub struct NameError {
    text: String,
}

impl Name {
    /// The root's. There is one to a folder.
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// As in the folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => name.push(c),
                '_' if !name.is_empty() => name.push(c),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
        }
        let name = name.trim_end_matches('-');
        if name.is_empty() { Err(NameError { text: text.to_owned() }) } else { Ok(Self(name.to_owned())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for (text, name) in [
            ("Acme Signer 2026", "acme-signer-2026"),
            ("acme", "acme"),
            ("  Müller & Söhne  ", "m-ller-s-hne"),
            ("../../etc/passwd", "etc-passwd"),
            (".hidden", "hidden"),
            ("a.", "a"),
            ("v1.2_3", "v1-2_3"),
            ("a.key", "a-key"),
        ] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), name, "{text}");
        }
        for text in ["", " ", "..", "/", "---"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
