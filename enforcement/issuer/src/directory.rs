use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use envelope::{
    AuthoringError,
    authoring::{CertificateSummary, Issuer, LicenseKey, Moved, Signer, certificates},
};

use crate::{Book, BookError, Name};

const AUTHORITIES: &str = "authorities";
const SIGNERS: &str = "signers";
const KEYS: &str = "keys";
const BOOK: &str = "issued.jsonl";

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// A folder with a licensing PKI. What it holds is made once and never overwritten, but for the revocation lists.
///
/// | file | holds | mode |
/// |---|---|---|
/// | `authorities/root.pem` | the root's certificate, for deployments to trust | 0644 |
/// | `authorities/NAME.pem` | the certificate of an intermediate or a partner, and those above it without the root | 0644 |
/// | `authorities/NAME.key.pem` | its key, encrypted; what is made beneath it and its revocation lists need it | 0600 |
/// | `authorities/NAME.crl.pem` | its last revocation list | 0644 |
/// | `signers/NAME.pem`, `signers/NAME.key.pem` | the same of a signer; `issue` needs them | 0644, 0600 |
/// | `keys/KID.jwk.json`, `keys/KID.key.pem` | a key for licenses in key format: the public half to pin, the encrypted key | 0644, 0600 |
/// | `issued.jsonl` | the [`Book`] | 0600 |
///
/// Authorities and signers share their names: a name means one certificate.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

/// Where a certificate of a folder belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Roots, intermediates, partners.
    Authorities,
    /// Signers.
    Signers,
}

impl Shelf {
    const fn folder(self) -> &'static str {
        match self {
            Self::Authorities => AUTHORITIES,
            Self::Signers => SIGNERS,
        }
    }
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
    /// There is no such certificate.
    #[error("there is no {what} `{name}` in `{}`; there is {}", path.display(), listed(there))]
    Unknown {
        /// What was sought.
        what: &'static str,
        /// Its name.
        name: String,
        /// The folder.
        path: PathBuf,
        /// What there is instead.
        there: Vec<Name>,
    },
    /// There is none, or there are several and none is named.
    #[error("`{}` holds {}; name one with {option}", path.display(), listed(there))]
    Choice {
        /// The folder.
        path: PathBuf,
        /// How to name one.
        option: &'static str,
        /// What there is.
        there: Vec<Name>,
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
    /// The book cannot be used.
    #[error(transparent)]
    Book(#[from] BookError),
}

fn listed(names: &[Name]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
}

impl Directory {
    /// Names a folder. Nothing is read or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, if need be. Its book is for its owner alone.
    pub fn make(&self) -> Result<(), DirectoryError> {
        for folder in [AUTHORITIES, SIGNERS, KEYS] {
            let path = self.path.join(folder);
            fs::create_dir_all(&path).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Opens the book of a folder that there is.
    pub fn book(&self) -> Result<Book, DirectoryError> {
        let path = self.path.join(AUTHORITIES);
        fs::read_dir(&path).map_err(failed(&path))?;
        Ok(Book::open(&self.path.join(BOOK))?)
    }

    /// Refuses a name that an authority or a signer has.
    pub fn check_free(&self, name: &Name) -> Result<(), DirectoryError> {
        for on in [Shelf::Authorities, Shelf::Signers] {
            for path in [self.certificate_path(on, name), self.key_path(on.folder(), name)] {
                check_new(&path)?;
            }
        }
        Ok(())
    }

    /// Stores a certificate and its encrypted key under a name that is free.
    pub fn store(&self, on: Shelf, name: &Name, chain: &str, key: &str) -> Result<(), DirectoryError> {
        self.check_free(name)?;
        write_new(&self.certificate_path(on, name), chain, PUBLIC)?;
        write_new(&self.key_path(on.folder(), name), key, PRIVATE)
    }

    /// Reads an authority and its key.
    pub fn authority(&self, name: &Name, passphrase: &str) -> Result<Issuer, DirectoryError> {
        let (chain, key) = self.stored(Shelf::Authorities, name)?;
        Issuer::from_pem(&chain, &key, passphrase).map_err(self.unusable(Shelf::Authorities, name))
    }

    /// Reads a signer and its key.
    pub fn signer(&self, name: &Name, passphrase: &str) -> Result<Signer, DirectoryError> {
        let (chain, key) = self.stored(Shelf::Signers, name)?;
        Signer::from_pem(&chain, &key, passphrase).map_err(self.unusable(Shelf::Signers, name))
    }

    /// Reads whatever bears this name, and its key.
    pub fn open(&self, name: &Name, passphrase: &str) -> Result<Moved, DirectoryError> {
        let (on, _) = self.find(name)?;
        let (chain, key) = self.stored(on, name)?;
        Moved::from_pem(&chain, &key, passphrase).map_err(self.unusable(on, name))
    }

    /// Whether the key of an authority lies here, and not in a safe.
    pub fn has_key(&self, authority: &Name) -> bool {
        self.key_path(AUTHORITIES, authority).exists()
    }

    /// The names on a shelf, sorted.
    pub fn names(&self, on: Shelf) -> Result<Vec<Name>, DirectoryError> {
        names(&self.path.join(on.folder()), ".pem")
    }

    /// The certificate of this name, with those above it, and where it stands.
    pub fn find(&self, name: &Name) -> Result<(Shelf, Vec<CertificateSummary>), DirectoryError> {
        for on in [Shelf::Authorities, Shelf::Signers] {
            if self.names(on)?.contains(name) {
                return Ok((on, self.certificates(on, name)?));
            }
        }
        let mut there = self.names(Shelf::Authorities)?;
        there.extend(self.names(Shelf::Signers)?);
        Err(self.unknown("certificate", name, there))
    }

    /// The certificate of this name, with those above it.
    pub fn certificates(&self, on: Shelf, name: &Name) -> Result<Vec<CertificateSummary>, DirectoryError> {
        let path = self.certificate_path(on, name);
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        certificates(&text).map_err(self.unusable(on, name))
    }

    /// The authority that is named, or else the only one of `fit`.
    pub fn choose(
        &self,
        named: Option<&Name>,
        on: Shelf,
        option: &'static str,
        fit: impl Fn(&[CertificateSummary]) -> bool,
    ) -> Result<Name, DirectoryError> {
        let all = self.names(on)?;
        if let Some(name) = named {
            let what = if on == Shelf::Signers { "signer" } else { "authority" };
            return if all.contains(name) { Ok(name.clone()) } else { Err(self.unknown(what, name, all)) };
        }
        let mut there = Vec::new();
        for name in all {
            if fit(&self.certificates(on, &name)?) {
                there.push(name);
            }
        }
        match there.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(DirectoryError::Choice { path: self.path.clone(), option, there }),
        }
    }

    /// Refuses the name of a key that there is.
    pub fn check_free_key(&self, kid: &Name) -> Result<(), DirectoryError> {
        check_new(&self.key_path(KEYS, kid))?;
        check_new(&self.jwk_path(kid))
    }

    /// Stores a key for licenses in key format.
    pub fn store_license_key(&self, kid: &Name, jwk: &str, key: &str) -> Result<(), DirectoryError> {
        self.check_free_key(kid)?;
        write_new(&self.jwk_path(kid), jwk, PUBLIC)?;
        write_new(&self.key_path(KEYS, kid), key, PRIVATE)
    }

    /// The names of the keys for licenses in key format, sorted.
    pub fn license_keys(&self) -> Result<Vec<Name>, DirectoryError> {
        names(&self.path.join(KEYS), ".jwk.json")
    }

    /// Reads the key that is named, or else the only one.
    pub fn license_key(&self, named: Option<&Name>, passphrase: &str) -> Result<LicenseKey, DirectoryError> {
        let there = self.license_keys()?;
        let kid = match (named, there.as_slice()) {
            (Some(kid), all) if all.contains(kid) => kid,
            (Some(kid), _) => return Err(self.unknown("license key", kid, there)),
            (None, [only]) => only,
            (None, _) => {
                return Err(DirectoryError::Choice { path: self.path.join(KEYS), option: "--signer", there });
            }
        };
        let path = self.key_path(KEYS, kid);
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        LicenseKey::from_pem(kid.as_str(), &text, passphrase)
            .map_err(|source| DirectoryError::Content { path, source })
    }

    /// Keeps an authority's last revocation list.
    pub fn store_crl(&self, authority: &Name, list: &str) -> Result<(), DirectoryError> {
        replace(&self.crl_path(authority), list, PUBLIC)
    }

    /// An authority's last revocation list.
    pub fn crl(&self, authority: &Name) -> Result<Option<String>, DirectoryError> {
        let path = self.crl_path(authority);
        match fs::read_to_string(&path) {
            Ok(list) => Ok(Some(list)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    fn stored(&self, on: Shelf, name: &Name) -> Result<(String, String), DirectoryError> {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(failed(&path));
        Ok((read(self.certificate_path(on, name))?, read(self.key_path(on.folder(), name))?))
    }

    fn certificate_path(&self, on: Shelf, name: &Name) -> PathBuf {
        self.path.join(on.folder()).join(format!("{name}.pem"))
    }

    fn key_path(&self, folder: &str, name: &Name) -> PathBuf {
        self.path.join(folder).join(format!("{name}.key.pem"))
    }

    fn jwk_path(&self, kid: &Name) -> PathBuf {
        self.path.join(KEYS).join(format!("{kid}.jwk.json"))
    }

    fn crl_path(&self, authority: &Name) -> PathBuf {
        self.path.join(AUTHORITIES).join(format!("{authority}.crl.pem"))
    }

    fn unusable(&self, on: Shelf, name: &Name) -> impl FnOnce(AuthoringError) -> DirectoryError {
        let path = self.certificate_path(on, name);
        |source| DirectoryError::Content { path, source }
    }

    fn unknown(&self, what: &'static str, name: &Name, there: Vec<Name>) -> DirectoryError {
        DirectoryError::Unknown { what, name: name.to_string(), path: self.path.clone(), there }
    }
}

/// The names of the files that end so, and in nothing more.
fn names(folder: &Path, ending: &str) -> Result<Vec<Name>, DirectoryError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let file = entry.map_err(failed(folder))?.file_name();
        let stem = file.to_str().and_then(|file| file.strip_suffix(ending));
        // `a.key.pem` and `a.crl.pem` belong to `a.pem`: a name has no dot.
        let name = stem.and_then(|stem| stem.parse().ok().filter(|name: &Name| name.as_str() == stem));
        if let Some(name) = name {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Writes a file that must not exist yet, with this Unix mode. It is on the disk when this returns.
pub fn write_new(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), DirectoryError> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(content.as_ref()).and_then(|()| file.sync_all()).map_err(failed(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(DirectoryError::Exists { path: path.to_owned() })
        }
        Err(error) => Err(failed(path)(error)),
    }
}

/// Puts a file in place of the one before, so that a reader sees the one or the other.
pub fn replace(path: &Path, content: &str, mode: u32) -> Result<(), DirectoryError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(failed(path))
}

/// Refuses a file that exists, before work is put into it.
pub fn check_new(path: &Path) -> Result<(), DirectoryError> {
    if path.exists() { Err(DirectoryError::Exists { path: path.to_owned() }) } else { Ok(()) }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    |source| DirectoryError::Io { path, source }
}
