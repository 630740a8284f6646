use zeroize::Zeroizing;

use super::{Issuer, Signer, certified::Kind as _, signer::SignerKind, storage};
use crate::{
    certificate::Certificate,
    mint::{AuthoringError, Holder},
};

/// An authority or a signer with its key, on its way from one place to another.
#[derive(Debug)]
pub enum Moved {
    /// An authority.
    Authority(Issuer),
    /// A signer.
    Signer(Signer),
}

impl Moved {
    /// Reads PEM, as [`Certified::from_pem`](super::Certified::from_pem).
    pub fn from_pem(chain: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        Self::stored(storage::from_pem(chain, key, passphrase)?)
    }

    /// Reads a PKCS#12 archive, as [`Certified::from_pkcs12`](super::Certified::from_pkcs12).
    pub fn from_pkcs12(archive: &[u8], passphrase: &str) -> Result<Self, AuthoringError> {
        Self::stored(storage::from_pkcs12(archive, passphrase)?)
    }

    fn stored(holder: Holder) -> Result<Self, AuthoringError> {
        if SignerKind::is(&Certificate::from_native(&holder.certificate)?) {
            Signer::stored(holder).map(Self::Signer)
        } else {
            Issuer::stored(holder).map(Self::Authority)
        }
    }

    /// The certificate and those that lead to the root, without the root.
    pub fn chain_pem(&self) -> Result<String, AuthoringError> {
        match self {
            Self::Authority(authority) => authority.chain_pem(),
            Self::Signer(signer) => signer.chain_pem(),
        }
    }

    /// The key, encrypted.
    pub fn key_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
        match self {
            Self::Authority(authority) => authority.key_pem(passphrase),
            Self::Signer(signer) => signer.key_pem(passphrase),
        }
    }

    /// As a PKCS#12 archive, encrypted.
    pub fn to_pkcs12(&self, passphrase: &str) -> Result<Vec<u8>, AuthoringError> {
        match self {
            Self::Authority(authority) => authority.to_pkcs12(passphrase),
            Self::Signer(signer) => signer.to_pkcs12(passphrase),
        }
    }
}
