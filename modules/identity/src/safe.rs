use std::{fmt, sync::Arc};

/// Where secrets are put that must be read again, such as those of authenticator apps: encrypted under a key that only
/// this deployment has.
pub trait Safe: Send + Sync + 'static {
    /// The content, readable by nobody else. `label` says what it is, so that nothing can take the place of another.
    fn seal(&self, label: &str, content: &[u8]) -> String;

    /// The content of what was sealed as this, and not changed since.
    fn open(&self, label: &str, sealed: &str) -> Option<Vec<u8>>;
}

/// A deployment without a key of its own keeps such secrets as they are.
#[derive(Clone)]
pub(crate) struct Keeping(pub(crate) Option<Arc<dyn Safe>>);

const SEALED: &str = "sealed:";
const PLAIN: &str = "plain:";

impl Keeping {
    pub(crate) fn put(&self, label: &str, content: &[u8]) -> String {
        match &self.0 {
            Some(safe) => format!("{SEALED}{}", safe.seal(label, content)),
            None => format!("{PLAIN}{}", hex::encode(content)),
        }
    }

    pub(crate) fn take(&self, label: &str, kept: &str) -> Option<Vec<u8>> {
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
