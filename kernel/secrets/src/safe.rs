use std::{fmt, sync::Arc};

/// Where secrets are put that must be read again, such as those of authenticator apps: encrypted under a key that only
/// this deployment has.
pub trait Safe: Send + Sync + 'static {
    /// The content, readable by nobody else; nothing, while there is no key. `label` says what it is, so that nothing can
    /// take the place of another.
    fn seal(&self, label: &str, content: &[u8]) -> Option<String>;

    /// The content of what was sealed as this, and not changed since.
    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>>;
}

/// How a table holds such secrets. A deployment without a key of its own keeps them as they are.
#[derive(Clone)]
pub struct Keeping(Option<Arc<dyn Safe>>);

const SEALED: &str = "sealed:";
const PLAIN: &str = "plain:";

impl Keeping {
    /// In this safe, where there is one.
    pub const fn within(safe: Option<Arc<dyn Safe>>) -> Self {
        Self(safe)
    }

    /// The content as a table holds it.
    pub fn put(&self, label: &str, content: &[u8]) -> String {
        match self.0.as_ref().and_then(|safe| safe.seal(label, content)) {
            Some(sealed) => format!("{SEALED}{sealed}"),
            None => format!("{PLAIN}{}", hex::encode(content)),
        }
    }

    /// The content of what a table holds; nothing, where it was put in as something else, or under another key.
    pub fn take(&self, label: &str, kept: &str) -> Option<Vec<u8>> {
        match (&self.0, kept.strip_prefix(SEALED)) {
            (Some(safe), Some(sealed)) => safe.open(label, sealed),
            (None, Some(_)) => None,
            (_, None) => hex::decode(kept.strip_prefix(PLAIN)?).ok(),
        }
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Keeping(sealed)" } else { "Keeping(plain)" })
    }
}
