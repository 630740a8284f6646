use std::{fmt, marker::PhantomData};

use jiff::Timestamp;
use openssl::nid::Nid;
use zeroize::Zeroizing;

use super::{Serial, storage};
use crate::{
    certificate::Certificate,
    mint::{AuthoringError, Holder, pem},
};

/// A certificate of one kind, its key, and the certificates that lead to its root: [`Root`](super::Root),
/// [`Intermediate`](super::Intermediate), [`Partner`](super::Partner), [`Signer`](super::Signer). Prints as its name.
pub struct Certified<K> {
    pub(super) holder: Holder,
    kind: PhantomData<K>,
}

/// One of the four kinds. There is no other.
pub trait Kind: sealed::Sealed {
    /// Whose certificate, as in "the certificate is not a root's".
    const NAME: &'static str;

    /// Whether a certificate is of this kind.
    #[doc(hidden)]
    fn is(certificate: &Certificate) -> bool;
}

pub(super) mod sealed {
    /// Keeps the kinds to those of this module.
    pub trait Sealed {}
}

impl<K: Kind> Certified<K> {
    /// Takes what was just made.
    pub(super) const fn made(holder: Holder) -> Self {
        Self { holder, kind: PhantomData }
    }

    /// Takes what was stored, if it is of this kind and its chain holds.
    pub(super) fn stored(holder: Holder) -> Result<Self, AuthoringError> {
        if !K::is(&Certificate::from_native(&holder.certificate)?) {
            return Err(AuthoringError::Role { expected: K::NAME });
        }
        Ok(Self::made(holder))
    }

    /// Reads a stored certificate and its key. `chain` holds the certificate first and ends beneath the root; both texts
    /// may be one file that holds both.
    pub fn from_pem(chain: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        Self::stored(storage::from_pem(chain, key, passphrase)?)
    }

    /// Reads a PKCS#12 archive (RFC 7292).
    pub fn from_pkcs12(archive: &[u8], passphrase: &str) -> Result<Self, AuthoringError> {
        Self::stored(storage::from_pkcs12(archive, passphrase)?)
    }

    /// The certificate.
    pub fn certificate_pem(&self) -> Result<String, AuthoringError> {
        pem([&self.holder.certificate])
    }

    /// The certificate and those that lead to the root, without the root.
    pub fn chain_pem(&self) -> Result<String, AuthoringError> {
        pem(self.holder.chain())
    }

    /// The key, encrypted. An empty passphrase is refused.
    pub fn key_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
        storage::key_pem(&self.holder.key, passphrase)
    }

    /// Certificate, chain and key as a PKCS#12 archive, encrypted. An empty passphrase is refused.
    pub fn to_pkcs12(&self, passphrase: &str) -> Result<Vec<u8>, AuthoringError> {
        storage::to_pkcs12(&self.holder, &self.name(), passphrase)
    }

    /// When the first certificate of the chain expires. Nothing beneath it may count for longer.
    pub fn expires_at(&self) -> Result<Timestamp, AuthoringError> {
        self.holder.expires_at()
    }

    /// The serial number of the certificate.
    pub fn serial(&self) -> Result<Serial, AuthoringError> {
        Serial::of(&self.holder.certificate)
    }

    /// SHA-256 of the certificate (DER), in lower-case hex.
    pub fn fingerprint(&self) -> Result<String, AuthoringError> {
        Ok(Certificate::from_native(&self.holder.certificate)?.fingerprint())
    }

    /// The common name in the certificate.
    pub fn name(&self) -> String {
        common_name(&self.holder.certificate)
    }
}

impl<K: Kind> fmt::Debug for Certified<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certified({})", self.name())
    }
}

fn common_name(certificate: &openssl::x509::X509Ref) -> String {
    let names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    names.filter_map(|entry| entry.data().to_string().ok()).collect()
}
