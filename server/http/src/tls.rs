//! TLS that ends here, with a certificate that may be renewed while the server runs.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use openssl::{
    error::ErrorStack,
    pkey::PKey,
    ssl::{Ssl, SslAcceptor, SslMethod, SslVersion},
    x509::X509,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use zeroize::Zeroizing;

use crate::BoxFuture;

/// A certificate and its key, from two files. At least TLS 1.2.
pub struct Tls {
    certificate: PathBuf,
    private_key: PathBuf,
    acceptor: RwLock<SslAcceptor>,
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
    #[error(
        "`{}` is no chain of certificates in PEM, or `{}` is not its key in PEM, without a passphrase",
        certificate.display(),
        private_key.display()
    )]
    Malformed {
        /// The file of the certificates.
        certificate: PathBuf,
        /// The file of the key.
        private_key: PathBuf,
        /// Why.
        source: ErrorStack,
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

    /// The server's side of a handshake.
    pub(crate) fn accept(
        &self,
        stream: TcpStream,
    ) -> BoxFuture<'static, Result<SslStream<TcpStream>, TlsRefused>> {
        let acceptor = self.acceptor.read().unwrap_or_else(PoisonError::into_inner);
        let begun = Ssl::new(acceptor.context()).and_then(|ssl| SslStream::new(ssl, stream));
        Box::pin(async move {
            let mut stream = begun?;
            Pin::new(&mut stream).accept().await?;
            Ok(stream)
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Why a client's TLS did not begin.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct TlsRefused(#[from] openssl::ssl::Error);

impl From<ErrorStack> for TlsRefused {
    fn from(error: ErrorStack) -> Self {
        Self(error.into())
    }
}

fn acceptor(certificate: &Path, private_key: &Path) -> Result<SslAcceptor, TlsError> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    let (chain, key) = (read(certificate)?, Zeroizing::new(read(private_key)?));
    build(&chain, &key).map_err(|source| TlsError::Malformed {
        certificate: certificate.to_owned(),
        private_key: private_key.to_owned(),
        source,
    })
}

fn build(chain: &[u8], key: &[u8]) -> Result<SslAcceptor, ErrorStack> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    let mut chain = X509::stack_from_pem(chain)?.into_iter();
    if let Some(leaf) = chain.next() {
        acceptor.set_certificate(&leaf)?;
    }
    for issuer in chain {
        acceptor.add_extra_chain_cert(issuer)?;
    }
    // A key under a passphrase would be asked for at a terminal that is not there.
    let key = PKey::private_key_from_pem_callback(key, |_| Err(ErrorStack::get()))?;
    acceptor.set_private_key(&key)?;
    acceptor.check_private_key()?;
    Ok(acceptor.build())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
