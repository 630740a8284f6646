//! Secrets by reference. Configuration, tables and messages name a secret, and nothing but the place it is named after
//! holds it.
//!
//! | reference | names |
//! |---|---|
//! | `file:/etc/chancery/smtp-password` | the content of a file, by its absolute path |
//! | `env:SMTP_PASSWORD` | a variable of the environment that the process was started with |
//! | `k8s:smtp/password` | the key `password` of the Kubernetes secret `smtp`, mounted beneath one folder |
//!
//! A line's end behind the secret does not belong to it. A secret that is replaced counts from the next time it is read.
//!
//! What the program makes itself and must read again is kept encrypted, in a [`Safe`].
//!
//! **A reference is a right to read.** What takes one from a caller takes it from operators of the platform only.
//!
//! ```
//! # use chancery_secrets as secrets;
//! use secrets::{Mounted, SecretRef, SecretSource as _};
//! use secrecy::ExposeSecret as _;
//!
//! let source = Mounted::new([("SMTP_PASSWORD".to_owned(), "s3cret".to_owned())], "/var/run/secrets");
//! let reference: SecretRef = "env:SMTP_PASSWORD".parse().unwrap();
//! assert_eq!(source.read(&reference).unwrap().expose_secret(), "s3cret");
//! ```

mod safe;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

pub use safe::{Keeping, Safe};

/// The largest secret that is read, in bytes.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret is. It holds none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// `file:PATH`: the content of a file.
    File(PathBuf),
    /// `env:NAME`: a variable of the environment.
    Environment(String),
    /// `k8s:NAME/KEY`: a key of a mounted Kubernetes secret.
    Kubernetes {
        /// The secret.
        name: String,
        /// The key in it.
        key: String,
    },
}

/// The text is no reference. It is not repeated: somebody may have written the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is named by `file:/absolute/path`, `env:NAME` or `k8s:NAME/KEY`, and never written out")]
pub struct NotAReference;

impl FromStr for SecretRef {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let (scheme, place) = text.split_once(':').ok_or(NotAReference)?;
        let found = match scheme {
            "file" => Some(PathBuf::from(place)).filter(|path| path.is_absolute()).map(Self::File),
            "env" => is_variable(place).then(|| Self::Environment(place.to_owned())),
            "k8s" => place
                .split_once('/')
                .filter(|(name, key)| is_segment(name) && is_segment(key))
                .map(|(name, key)| Self::Kubernetes { name: name.to_owned(), key: key.to_owned() }),
            _ => None,
        };
        found.ok_or(NotAReference)
    }
}

fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A name or key as Kubernetes allows it, which is no way out of a folder.
fn is_segment(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::Kubernetes { name, key } => write!(f, "k8s:{name}/{key}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        unquoted(deserializer, str::parse)
    }
}

/// Reads a text that may be a secret by mistake. Of what is none, serde's own words would quote it; these do not.
pub fn unquoted<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<F>(F);

    impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<X: serde::de::Error>(self, text: &str) -> Result<T, X> {
            (self.0)(text).map_err(X::custom)
        }

        fn visit_bool<X: serde::de::Error>(self, _: bool) -> Result<T, X> {
            Err(X::custom("expected a text"))
        }

        fn visit_i64<X: serde::de::Error>(self, _: i64) -> Result<T, X> {
            Err(X::custom("expected a text"))
        }

        fn visit_u64<X: serde::de::Error>(self, _: u64) -> Result<T, X> {
            Err(X::custom("expected a text"))
        }

        fn visit_f64<X: serde::de::Error>(self, _: f64) -> Result<T, X> {
            Err(X::custom("expected a text"))
        }
    }

    deserializer.deserialize_str(Text(read))
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a secret is: `file:/absolute/path`, `env:NAME` or `k8s:NAME/KEY`.",
            "type": "string",
            "pattern": "^(file:/.*|env:[A-Za-z_][A-Za-z0-9_]*|k8s:[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)$",
        })
    }
}

/// Why a secret cannot be had. Nothing of it is in here.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("failed to read the secret `{reference}`")]
    Unreadable {
        /// Where it should be.
        reference: SecretRef,
        /// Why.
        source: io::Error,
    },
    /// There is no such variable.
    #[error("the secret `{0}` is not set")]
    NotSet(SecretRef),
    /// The secret is not a text, is empty, or is larger than 64 KiB.
    #[error("the secret `{0}` is not a text of 1 to {MAX_SECRET_BYTES} bytes")]
    Malformed(SecretRef),
}

/// Gives secrets by their references.
pub trait SecretSource: Send + Sync + 'static {
    /// The secret, as it is now.
    fn read(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;
}

/// A secret that is read whenever it is needed: one that was replaced counts from then on.
#[derive(Clone)]
pub struct Secret {
    reference: SecretRef,
    source: Arc<dyn SecretSource>,
}

impl Secret {
    /// What the reference names, as this source gives it.
    pub fn new(reference: SecretRef, source: Arc<dyn SecretSource>) -> Self {
        Self { reference, source }
    }

    /// The secret, as it is now.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        self.source.read(&self.reference)
    }
}

/// Where it is.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.reference)
    }
}

/// Secrets of files, of the environment, and of Kubernetes secrets that are mounted, each by its name, in one folder.
pub struct Mounted {
    environment: HashMap<String, SecretString>,
    kubernetes: PathBuf,
}

impl Mounted {
    /// With these variables, and this folder of mounted secrets.
    pub fn new(
        environment: impl IntoIterator<Item = (String, String)>,
        kubernetes: impl Into<PathBuf>,
    ) -> Self {
        let environment = environment.into_iter().map(|(name, value)| (name, value.into())).collect();
        Self { environment, kubernetes: kubernetes.into() }
    }
}

/// Without what it holds.
impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mounted({})", self.kubernetes.display())
    }
}

impl SecretSource for Mounted {
    fn read(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        match reference {
            SecretRef::File(path) => file(path, reference),
            SecretRef::Kubernetes { name, key } => file(&self.kubernetes.join(name).join(key), reference),
            SecretRef::Environment(name) => match self.environment.get(name) {
                Some(secret) if secret.expose_secret().is_empty() => {
                    Err(SecretError::Malformed(reference.clone()))
                }
                Some(secret) => Ok(secret.clone()),
                None => Err(SecretError::NotSet(reference.clone())),
            },
        }
    }
}

fn file(path: &Path, reference: &SecretRef) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable { reference: reference.clone(), source };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(SecretError::Malformed(reference.clone()));
        }
        read => read.map_err(unreadable)?,
    };
    let secret =
        text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() || text.len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretError::Malformed(reference.clone()));
    }
    Ok(secret.to_owned().into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_reference_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["file:/run/secret", "env:SMTP_PASSWORD", "k8s:smtp/password", "k8s:a.b-c/d_e.f"] {
            let reference: SecretRef = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(serde_json::from_value::<SecretRef>(text.into()).unwrap(), reference);
        }
        for text in [
            "",
            "canary",
            "file:",
            "file:relative",
            "env:",
            "env:A B",
            "env:1A",
            "k8s:smtp",
            "k8s:../etc/passwd",
            "k8s:smtp/..",
            "k8s:./key",
            "k8s:a/b/c",
            "vault:canary",
            "FILE:/canary",
        ] {
            let error = serde_json::from_value::<SecretRef>(text.into()).unwrap_err().to_string();
            assert!(
                error.starts_with("a secret is named by") && !error.contains("canary"),
                "{text}: {error}"
            );
        }
        for text in ["[\"canary\"]", "{\"canary\":1}", "17", "-17", "1.7", "true"] {
            let error = serde_json::from_str::<SecretRef>(text).unwrap_err().to_string();
            assert!(error.contains(" a text at"), "{error}");
        }
    }

    #[test]
    fn each_source_gives_its_secrets_and_a_replaced_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("TOKEN", "of-env"), ("EMPTY", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let source = Mounted::new(variables, folder.path());
        fs::create_dir(folder.path().join("smtp")).unwrap();
        let path = folder.path().join("smtp/password");
        fs::write(&path, "first\n").unwrap();
        let read =
            |text: &str| source.read(&text.parse().unwrap()).map(|secret| secret.expose_secret().to_owned());
        assert_eq!(read("k8s:smtp/password").unwrap(), "first");
        fs::write(&path, "second\r\n").unwrap();
        assert_eq!(read("k8s:smtp/password").unwrap(), "second");
        assert_eq!(read(&format!("file:{}", path.display())).unwrap(), "second");
        assert_eq!(read("env:TOKEN").unwrap(), "of-env");
        assert!(matches!(read("env:OTHER"), Err(SecretError::NotSet(_))));
        assert!(matches!(read("env:EMPTY"), Err(SecretError::Malformed(_))));
        assert!(matches!(read("k8s:smtp/other"), Err(SecretError::Unreadable { .. })));
        for malformed in [b"".to_vec(), b"\n".to_vec(), b"\xff\xfe".to_vec(), vec![b'a'; 64 * 1024 + 1]] {
            fs::write(&path, malformed).unwrap();
            assert!(matches!(read("k8s:smtp/password"), Err(SecretError::Malformed(_))));
        }
        assert!(!format!("{source:?}").contains("of-env"));
        let secret = Secret::new("env:TOKEN".parse().unwrap(), Arc::new(source));
        assert_eq!(secret.read().unwrap().expose_secret(), "of-env");
        assert_eq!(format!("{secret:?}"), "Secret(env:TOKEN)");
    }
}
