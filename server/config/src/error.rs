use std::{fmt, io, path::PathBuf};

use secrets::SecretError;

use crate::Lacking;

/// Why there is no configuration. The process ends with exit code 78 (`EX_CONFIG`).
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or value is not one.
    #[error("{origin}: {message}")]
    Refused {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        message: String,
    },
    /// Secrets that are named cannot be read.
    #[error("{0}")]
    Secrets(Lacking),
}

impl ConfigError {
    /// The secret under this key cannot be had.
    pub fn lacking(key: &str, error: SecretError) -> Self {
        Self::Secrets(Lacking::one(key, error))
    }
}

/// Where a key or value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In a variable of the environment.
    Variable(String),
    /// Under this key, wherever that stands.
    Key(String),
    /// Nowhere: there is no file, and the environment lacks it.
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "`{}`, line {line}", path.display()),
            Self::Variable(name) => write!(f, "variable `{name}`"),
            Self::Key(key) => write!(f, "`{key}`"),
            Self::Environment => f.write_str("no configuration file is named, and in the environment"),
        }
    }
}
