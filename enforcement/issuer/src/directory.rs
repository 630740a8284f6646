use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use envelope::{
    AuthoringError,
    authoring::{Root, Signer},
};

const ROOT: &str = "root.pem";
const ROOT_KEY: &str = "root.key.pem";
const SIGNER: &str = "signer.pem";
const SIGNER_KEY: &str = "signer.key.pem";

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// A folder with a licensing PKI. Files are made once and never overwritten.
///
/// | file | holds | mode |
/// |---|---|---|
/// | `root.pem` | the root's certificate, for deployments to trust | 0644 |
/// | `root.key.pem` | its key, encrypted; only `ca signer` needs it | 0600 |
/// | `signer.pem` | the signer's certificate, without the root | 0644 |
/// | `signer.key.pem` | its key, encrypted; `issue` needs it | 0600 |
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

/// Why a file of the PKI was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It exists already.
    #[error("`{}` exists and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// In its words.
        source: io::Error,
    },
    /// What it holds cannot be used.
    #[error("`{}`: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AuthoringError,
    },
}

impl Directory {
    /// Names a folder. Nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Stores a new root, making the folder if need be.
    pub fn store_root(&self, root: &Root, passphrase: &str) -> Result<(), DirectoryError> {
        fs::create_dir_all(&self.path).map_err(failed(&self.path))?;
        let certificate = root.certificate_pem().map_err(self.unusable(ROOT))?;
        let key = root.key_pem(passphrase).map_err(self.unusable(ROOT_KEY))?;
        self.store([(ROOT, &certificate, PUBLIC), (ROOT_KEY, &key, PRIVATE)])
    }

    /// Stores a new signer.
    pub fn store_signer(&self, signer: &Signer, passphrase: &str) -> Result<(), DirectoryError> {
        let chain = signer.chain_pem().map_err(self.unusable(SIGNER))?;
        let key = signer.key_pem(passphrase).map_err(self.unusable(SIGNER_KEY))?;
        self.store([(SIGNER, &chain, PUBLIC), (SIGNER_KEY, &key, PRIVATE)])
    }

    /// Reads the root.
    pub fn root(&self, passphrase: &str) -> Result<Root, DirectoryError> {
        Root::from_pem(&self.read(ROOT)?, &self.read(ROOT_KEY)?, passphrase).map_err(self.unusable(ROOT_KEY))
    }

    /// Reads the signer.
    pub fn signer(&self, passphrase: &str) -> Result<Signer, DirectoryError> {
        Signer::from_pem(&self.read(SIGNER)?, &self.read(SIGNER_KEY)?, passphrase)
            .map_err(self.unusable(SIGNER_KEY))
    }

    /// Writes all or, where one of them exists, none.
    fn store(&self, files: [(&str, &str, u32); 2]) -> Result<(), DirectoryError> {
        for (name, ..) in files {
            let path = self.path.join(name);
            if path.exists() {
                return Err(DirectoryError::Exists { path });
            }
        }
        files.into_iter().try_for_each(|(name, text, mode)| write_new(&self.path.join(name), text, mode))
    }

    fn read(&self, name: &str) -> Result<String, DirectoryError> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(failed(&path))
    }

    fn unusable(&self, name: &str) -> impl FnOnce(AuthoringError) -> DirectoryError {
        let path = self.path.join(name);
        |source| DirectoryError::Content { path, source }
    }
}

/// Writes a file that must not exist yet, with this Unix mode.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), DirectoryError> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(failed(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(DirectoryError::Exists { path: path.to_owned() })
        }
        Err(error) => Err(failed(path)(error)),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    |source| DirectoryError::Io { path, source }
}
