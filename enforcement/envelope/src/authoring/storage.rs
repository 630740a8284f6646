//! Keys at rest.

use der::{
    Decode as _, Encode as _,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
    pem::{self, LineEnding},
};
use openssl::{
    hash::MessageDigest,
    pkcs5::pbkdf2_hmac,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    rand::rand_bytes,
    stack::Stack,
    symm::{Cipher, encrypt},
    x509::{X509, X509Ref, X509VerifyResult},
};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::{
    certificate::CertificateError,
    jws::MAX_CERTIFICATES,
    mint::{AuthoringError, Holder},
};

/// Rounds of PBKDF2 between a passphrase and the key it stands for.
pub const KDF_ROUNDS: u32 = 600_000;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// The key as `EncryptedPrivateKeyInfo` (RFC 5958, section 3) under PBES2 (RFC 8018, 6.2). Written here because OpenSSL's
/// binding leaves no choice of rounds, and OpenSSL's own is 2048.
pub(super) fn key_pem(key: &PKey<Private>, passphrase: &str) -> Result<Zeroizing<String>, AuthoringError> {
    let passphrase = checked(passphrase)?;
    let (mut salt, mut iv, mut derived) = ([0; 16], [0; 16], Zeroizing::new([0; 32]));
    rand_bytes(&mut salt)?;
    rand_bytes(&mut iv)?;
    let rounds = KDF_ROUNDS as usize;
    pbkdf2_hmac(passphrase.as_bytes(), &salt, rounds, MessageDigest::sha256(), &mut *derived)?;
    let plain = Zeroizing::new(key.private_key_to_pkcs8()?);
    let sealed = encrypt(Cipher::aes_256_cbc(), &*derived, Some(&iv), &plain)?;
    let der = encrypted_private_key_info(&salt, &iv, &sealed).map_err(CertificateError::from)?;
    let pem = pem::encode_string("ENCRYPTED PRIVATE KEY", LineEnding::LF, &der);
    pem.map(Zeroizing::new).map_err(|_| AuthoringError::Key)
}

fn encrypted_private_key_info(salt: &[u8], iv: &[u8], sealed: &[u8]) -> der::Result<Vec<u8>> {
    let prf = identified(HMAC_SHA256, AnyRef::NULL)?;
    let derivation = sequence(&[OctetStringRef::new(salt)?.to_der()?, KDF_ROUNDS.to_der()?, prf])?;
    let derivation = identified(PBKDF2, AnyRef::from_der(&derivation)?)?;
    let cipher = identified(AES_256_CBC, AnyRef::from(OctetStringRef::new(iv)?))?;
    let scheme = sequence(&[derivation, cipher])?;
    let scheme = identified(PBES2, AnyRef::from_der(&scheme)?)?;
    sequence(&[scheme, OctetStringRef::new(sealed)?.to_der()?])
}

fn identified(oid: ObjectIdentifier, parameters: AnyRef<'_>) -> der::Result<Vec<u8>> {
    AlgorithmIdentifierRef { oid, parameters: Some(parameters) }.to_der()
}

fn sequence(members: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    AnyRef::new(der::Tag::Sequence, &members.concat())?.to_der()
}

/// A key in PEM, encrypted or not. OpenSSL would ask for a passphrase on the terminal if none were stated.
pub(super) fn private_key(pem: &str, passphrase: &str) -> Result<PKey<Private>, AuthoringError> {
    PKey::private_key_from_pem_passphrase(pem.as_bytes(), passphrase.as_bytes())
        .map_err(|_| AuthoringError::Key)
}

pub(super) fn from_pem(chain: &str, key: &str, passphrase: &str) -> Result<Holder, AuthoringError> {
    let chain = X509::stack_from_pem(chain.as_bytes()).map_err(|_| CertificateError::Malformed)?;
    let mut chain = chain.into_iter();
    let certificate = chain.next().ok_or(CertificateError::Malformed)?;
    holder(certificate, private_key(key, passphrase)?, chain.collect())
}

/// Certificate, chain and key. OpenSSL encrypts key and certificates with AES-256-CBC under PBES2.
pub(super) fn to_pkcs12(holder: &Holder, name: &str, passphrase: &str) -> Result<Vec<u8>, AuthoringError> {
    let passphrase = checked(passphrase)?;
    let mut issuers = Stack::new()?;
    for issuer in &holder.issuers {
        issuers.push(issuer.clone())?;
    }
    let mut builder = Pkcs12::builder();
    // The binding panics on a zero byte, which a certificate from elsewhere may have in its name.
    builder.name(&name.replace('\0', "")).pkey(&holder.key).cert(&holder.certificate).ca(issuers);
    builder.key_iter(KDF_ROUNDS).mac_iter(KDF_ROUNDS).mac_md(MessageDigest::sha256());
    Ok(builder.build2(passphrase)?.to_der()?)
}

pub(super) fn from_pkcs12(archive: &[u8], passphrase: &str) -> Result<Holder, AuthoringError> {
    let passphrase = checked(passphrase)?;
    let opened = Pkcs12::from_der(archive).and_then(|archive| archive.parse2(passphrase));
    let opened = opened.map_err(|_| AuthoringError::Key)?;
    let certificate = opened.cert.ok_or(CertificateError::Malformed)?;
    let others: Vec<X509> = opened.ca.into_iter().flatten().collect();
    holder(certificate, opened.pkey.ok_or(AuthoringError::Key)?, others)
}

/// Puts the others in order, from the certificate's issuer upwards. Other programs add the root and keep their own order.
fn holder(certificate: X509, key: PKey<Private>, others: Vec<X509>) -> Result<Holder, AuthoringError> {
    if !certificate.public_key()?.public_eq(&key) {
        return Err(AuthoringError::OtherKey);
    }
    let mut issuers: Vec<X509> = Vec::new();
    if others.len() >= MAX_CERTIFICATES {
        return Err(AuthoringError::BrokenChain);
    }
    let mut others: Vec<X509> = others.into_iter().filter(|other| !issued(other, other)).collect();
    loop {
        let last = issuers.last().unwrap_or(&certificate);
        let Some(place) = others.iter().position(|other| issued(other, last)) else { break };
        issuers.push(others.remove(place));
    }
    // What is left leads nowhere.
    if others.is_empty() {
        Ok(Holder { certificate, key, issuers })
    } else {
        Err(AuthoringError::BrokenChain)
    }
}

fn issued(issuer: &X509Ref, subject: &X509Ref) -> bool {
    let signed = || issuer.public_key().and_then(|key| subject.verify(&key));
    issuer.issued(subject) == X509VerifyResult::OK && signed().unwrap_or(false)
}

/// OpenSSL reads a passphrase up to its first zero byte, and its binding panics on one.
fn checked(passphrase: &str) -> Result<&str, AuthoringError> {
    match passphrase {
        "" => Err(AuthoringError::EmptyPassphrase),
        passphrase if passphrase.contains('\0') => Err(AuthoringError::PassphraseZero),
        passphrase => Ok(passphrase),
    }
}
