//! What may be asked for, by form alone.

use std::{borrow::Cow, fmt};

use sdk::prelude::*;

/// The text has not the form that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct WantedError(&'static str);

macro_rules! wanted {
    ($(#[$doc:meta])* $name:ident, $fits:path, $expected:literal, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = WantedError;

            fn try_from(text: String) -> Result<Self, WantedError> {
                if $fits(&text) { Ok(Self(text)) } else { Err(WantedError($expected)) }
            }
        }

        impl From<$name> for String {
            fn from(wanted: $name) -> Self {
                wanted.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

wanted!(
    /// An address that mail can be sent to: `local@domain` in ASCII, without quotes.
    Email, is_email, "an e-mail address such as `jo@example.com`",
    {
        "type": "string",
        "maxLength": 254,
        "pattern": "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
    }
);

wanted!(
    /// The tenant's name in addresses: `[a-z][a-z0-9-]{0,62}`, no two hyphens in a row (semantics 7.1).
    Slug, is_slug, "1 to 63 of `a-z`, `0-9` and single `-`, beginning with a letter",
    { "type": "string", "pattern": "^(?!.*--)[a-z][a-z0-9-]{0,62}$" }
);

wanted!(
    /// The tenant's name for people: 1 to 120 characters, none of them a control character.
    DisplayName, is_display_name, "1 to 120 characters in one line",
    { "type": "string", "minLength": 1, "maxLength": 120, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$" }
);

impl Email {
    /// What counts as one mailbox: letters of either case, and whatever follows a `+`, are one.
    pub(crate) fn mailbox(&self) -> String {
        let lower = self.0.to_ascii_lowercase();
        let (local, domain) = lower.split_once('@').unwrap_or((&lower, ""));
        let local = local.split('+').next().unwrap_or(local);
        format!("{local}@{domain}")
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let atom = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 254
        && local.len() <= 64
        && local.split('.').all(atom)
        && domain.contains('.')
        && domain.split('.').all(label)
}

fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.contains("--")
}

fn is_display_name(text: &str) -> bool {
    (1..=120).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_mail_can_be_sent_to_and_that_cannot_forge_a_header() {
        for good in ["jo@example.com", "jo.doe+chancery@mail.example.co", "o'neil@example.org"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "jo",
            "@example.com",
            "jo@",
            "jo@example",
            "jo@@example.com",
            "jo@-a.com",
            "j o@example.com",
            "jo@example.com\r\nBcc: all@example.com",
            "jo..doe@example.com",
            "jö@example.com",
            "\"jo\"@example.com",
            "jo@example.com,all@example.com",
            "<jo@example.com>",
            &long,
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn one_mailbox_has_many_spellings() {
        let email = Email("Jo.Doe+a+b@Example.com".to_owned());
        assert_eq!(email.mailbox(), "jo.doe@example.com");
    }

    #[test]
    fn a_name_for_people_is_one_line() {
        assert!(is_display_name("Acmé & Söhne"));
        for bad in ["", "a\nb", "a\u{7f}", &"x".repeat(121)] {
            assert!(!is_display_name(bad), "{bad:?}");
        }
    }
}
