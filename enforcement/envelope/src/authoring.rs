//! The vendor's side: roots, signers, sealing. Only with the feature `authoring`, which a server does not enable.
//!
//! Private keys are stored as PKCS#8 encrypted with AES-256-CBC under a passphrase. OpenSSL derives the key in 2048
//! rounds, so the passphrase should be a random one of 20 characters, not a word.

use std::{fmt, ops::Range};

use jiff::Timestamp;
use openssl::{
    nid::Nid,
    pkey::{PKey, Private},
    symm::Cipher,
    x509::{X509, X509Ref},
};
use zeroize::Zeroizing;

use crate::{
    certificate::CertificateError,
    claims::Claims,
    mint::{self, AuthoringError, pem},
    recipient::RecipientPublic,
    verified::Authority,
};

/// A vendor's licensing root: EC P-256, self-signed, path length 1.
pub struct Root(mint::Root);

/// A certificate that signs licenses: EC P-256, with [`oid::LICENSE_SIGNING_EKU`](crate::oid::LICENSE_SIGNING_EKU) and
/// [`oid::LICENSE_SIGNING_POLICY`](crate::oid::LICENSE_SIGNING_POLICY).
pub struct Signer(mint::Signer);

impl Root {
    /// Makes a root and its key. Names have 1 to 64 characters.
    pub fn create(name: &str, validity: Range<Timestamp>) -> Result<Self, AuthoringError> {
        mint::Root::create(name, &validity, Authority::Vendor).map(Self)
    }

    /// Reads a stored root.
    pub fn from_pem(certificate: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        let certificate = X509::from_pem(certificate.as_bytes()).map_err(|_| CertificateError::Malformed)?;
        let key = private_key(key, passphrase, &certificate)?;
        Ok(Self(mint::Root { certificate, key }))
    }

    /// The certificate, for `license.trust.root-ca-bundle-path`.
    pub fn certificate_pem(&self) -> Result<String, AuthoringError> {
        pem(std::slice::from_ref(&self.0.certificate))
    }

    /// The key, encrypted. An empty passphrase is refused.
    pub fn key_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
        encrypted_pem(&self.0.key, passphrase)
    }

    /// Makes a signer beneath this root, which it may not outlive.
    pub fn signer(&self, name: &str, validity: Range<Timestamp>) -> Result<Signer, AuthoringError> {
        self.0.signer(name, &validity).map(Signer)
    }
}

impl Signer {
    /// Reads a stored signer. `chain` holds its certificate first and ends beneath the root.
    pub fn from_pem(chain: &str, key: &str, passphrase: &str) -> Result<Self, AuthoringError> {
        let chain = X509::stack_from_pem(chain.as_bytes()).map_err(|_| CertificateError::Malformed)?;
        let certificate = chain.first().ok_or(CertificateError::Malformed)?;
        let key = private_key(key, passphrase, certificate)?;
        mint::Signer::new(chain, key).map(Self)
    }

    /// The certificate and those that lead to the root, without the root.
    pub fn chain_pem(&self) -> Result<String, AuthoringError> {
        pem(&self.0.chain)
    }

    /// The key, encrypted. An empty passphrase is refused.
    pub fn key_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
        encrypted_pem(&self.0.key, passphrase)
    }

    /// When the first certificate of the chain expires. No license may count for longer.
    pub const fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Signs claims and seals them to a deployment's key. Claims that would not open there, or that would count for
    /// longer than the chain is valid, are refused.
    pub fn seal(&self, claims: &Claims, recipient: &RecipientPublic) -> Result<String, AuthoringError> {
        self.0.seal(claims, recipient)
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({})", common_name(&self.0.certificate))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.chain.first().map(|certificate| common_name(certificate));
        write!(f, "Signer({})", name.unwrap_or_default())
    }
}

fn common_name(certificate: &X509Ref) -> String {
    certificate
        .subject_name()
        .entries_by_nid(Nid::COMMONNAME)
        .filter_map(|entry| entry.data().to_string().ok())
        .collect()
}

fn encrypted_pem(key: &PKey<Private>, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
    if passphrase.is_empty() {
        return Err(AuthoringError::EmptyPassphrase);
    }
    let pem = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), passphrase.as_bytes())?;
    String::from_utf8(pem).map(Zeroizing::new).map_err(|_| AuthoringError::Key)
}

fn private_key(pem: &str, passphrase: &str, certificate: &X509Ref) -> Result<PKey<Private>, AuthoringError> {
    let key = PKey::private_key_from_pem_passphrase(pem.as_bytes(), passphrase.as_bytes())
        .map_err(|_| AuthoringError::Key)?;
    if certificate.public_key()?.public_eq(&key) { Ok(key) } else { Err(AuthoringError::OtherKey) }
}
