//! TLS that ends here, with a certificate that may be renewed while the server runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use native_tls::{Identity, Protocol};
use tokio_native_tls::TlsAcceptor;

/// A certificate and its key, from two files. At least TLS 1.2.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    private_key: PathBuf,
    acceptor: RwLock<TlsAcceptor>,
    /// When the files were changed that were read last.
    seen: Mutex<[Option<SystemTime>; 2]>,
}

/// Why TLS cannot be served with these files. It holds nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not to be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They are not what they should be, or not of each other.
    #[error("`{}` is no chain of certificates in PEM, or `{}` is not its key in PEM (PKCS #8)", certificate.display(), private_key.display())]
    Malformed {
        /// The file of the certificates.
        certificate: PathBuf,
        /// The file of the key.
        private_key: PathBuf,
        /// Why.
        source: native_tls::Error,
    },
}

impl Tls {
    /// The chain (leaf first) and the leaf's private key, in PEM.
    pub fn open(certificate: &Path, private_key: &Path) -> Result<Self, TlsError> {
        let seen = [changed(certificate), changed(private_key)];
        Ok(Self {
            acceptor: RwLock::new(acceptor(certificate, private_key)?),
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            seen: Mutex::new(seen),
        })
    }

    /// Reads the files again, where they have changed: whether connections from now on get what they hold. Files that do
    /// not fit each other change nothing: one may have been renewed before the other.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let now = [changed(&self.certificate), changed(&self.private_key)];
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        let fresh = acceptor(&self.certificate, &self.private_key)?;
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn acceptor(certificate: &Path, private_key: &Path) -> Result<TlsAcceptor, TlsError> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    let (chain, key) = (read(certificate)?, read(private_key)?);
    let acceptor = Identity::from_pkcs8(&chain, &key).and_then(|identity| {
        native_tls::TlsAcceptor::builder(identity).min_protocol_version(Some(Protocol::Tlsv12)).build()
    });
    acceptor.map(Into::into).map_err(|source| TlsError::Malformed {
        certificate: certificate.to_owned(),
        private_key: private_key.to_owned(),
        source,
    })
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
