use base64ct::{Base64UrlUnpadded, Encoding as _};
use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{Id, PKey, Private},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Signer},
};

use crate::der;

/// A private key, of whatever kind an attack needs.
#[derive(Clone)]
pub struct Key(PKey<Private>);

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EC on P-256.
    P256,
    /// EC on P-384.
    P384,
    /// EC on secp256k1.
    Secp256k1,
    /// RSA with a modulus of so many bits.
    Rsa(u32),
    /// Ed25519.
    Ed25519,
    /// X25519.
    X25519,
}

impl Key {
    /// Makes a key.
    pub fn new(kind: Kind) -> Self {
        let on = |curve| {
            let curve = EcGroup::from_curve_name(curve).expect("a known curve");
            PKey::from_ec_key(EcKey::generate(&curve).expect("a key"))
        };
        let key = match kind {
            Kind::P256 => on(Nid::X9_62_PRIME256V1),
            Kind::P384 => on(Nid::SECP384R1),
            Kind::Secp256k1 => on(Nid::SECP256K1),
            Kind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits).expect("a key")),
            Kind::Ed25519 => PKey::generate_ed25519(),
            Kind::X25519 => PKey::generate_x25519(),
        };
        Self(key.expect("a key"))
    }

    /// Reads an unencrypted private key.
    pub fn from_pem(pem: &str) -> Self {
        Self(PKey::private_key_from_pem(pem.as_bytes()).expect("a private key in PEM"))
    }

    /// PKCS#8, unencrypted.
    pub fn pem(&self) -> String {
        let pem = self.0.private_key_to_pem_pkcs8().expect("PEM of a key");
        String::from_utf8(pem).expect("PEM is ASCII")
    }

    /// As OpenSSL holds it.
    pub const fn native(&self) -> &PKey<Private> {
        &self.0
    }

    /// `SubjectPublicKeyInfo` (DER).
    pub fn public_der(&self) -> Vec<u8> {
        self.0.public_key_to_der().expect("DER of a key")
    }

    /// The JWS algorithm that this key is for, `ES256K` and such included.
    pub fn algorithm(&self) -> &'static str {
        match self.0.id() {
            Id::RSA => "PS256",
            Id::ED25519 => "EdDSA",
            _ => match self.0.ec_key().expect("an EC key").group().curve_name() {
                Some(Nid::SECP384R1) => "ES384",
                Some(Nid::SECP256K1) => "ES256K",
                _ => "ES256",
            },
        }
    }

    /// A signature in the form of X.509, and its algorithm (DER): ECDSA with the digest of the curve's size, PKCS#1 v1.5
    /// with SHA-256, Ed25519.
    pub fn sign_x509(&self, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (digest, algorithm) = match self.algorithm() {
            "EdDSA" => (None, der::sequence(&[&der::oid("1.3.101.112")])),
            "PS256" => {
                let parameters = [0x05, 0x00];
                (
                    Some(MessageDigest::sha256()),
                    der::sequence(&[&der::oid("1.2.840.113549.1.1.11"), &parameters]),
                )
            }
            "ES384" => (Some(MessageDigest::sha384()), der::sequence(&[&der::oid("1.2.840.10045.4.3.3")])),
            _ => (Some(MessageDigest::sha256()), der::sequence(&[&der::oid("1.2.840.10045.4.3.2")])),
        };
        (self.sign(digest, message), algorithm)
    }

    /// The same under a digest of choice; only ECDSA with SHA-1 has a use.
    pub fn sign_x509_sha1(&self, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (self.sign(Some(MessageDigest::sha1()), message), der::sequence(&[&der::oid("1.2.840.10045.4.1")]))
    }

    /// A signature in the form of JWS, by this key's own algorithm.
    pub fn sign_jws(&self, message: &[u8]) -> Vec<u8> {
        match self.algorithm() {
            "EdDSA" => self.sign(None, message),
            "PS256" => {
                let digest = MessageDigest::sha256();
                let mut signer = Signer::new(digest, &self.0).expect("a signer");
                signer.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
                signer.set_rsa_mgf1_md(digest).expect("MGF1");
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).expect("a salt");
                signer.sign_oneshot_to_vec(message).expect("a signature")
            }
            "ES384" => raw(&self.sign(Some(MessageDigest::sha384()), message), 48),
            _ => raw(&self.sign(Some(MessageDigest::sha256()), message), 32),
        }
    }

    /// The ECDSA signature with SHA-256 as X.509 has it, where a JWS must have the bare numbers.
    pub fn sign_ecdsa_der(&self, message: &[u8]) -> Vec<u8> {
        self.sign(Some(MessageDigest::sha256()), message)
    }

    /// Whether this EC key signed a certificate or a list with SHA-256, every byte of which counts as it stands.
    pub fn signed_x509(&self, document: &[u8]) -> bool {
        let Some((message, signature)) = der::signed_and_signature(document) else { return false };
        let digest = hash(MessageDigest::sha256(), message).expect("a digest");
        let key = self.0.ec_key().expect("an EC key");
        EcdsaSig::from_der(signature).is_ok_and(|signature| signature.verify(&digest, &key).unwrap_or(false))
    }

    /// Whether this EC key on P-256 signed a compact JWS with ES256.
    pub fn signed_jws(&self, compact: &str) -> bool {
        let Some((message, signature)) = compact.rsplit_once('.') else { return false };
        let Ok(signature) = Base64UrlUnpadded::decode_vec(signature) else { return false };
        let Some((r, s)) = signature.split_at_checked(32).filter(|(_, s)| s.len() == 32) else {
            return false;
        };
        let number = |bytes| BigNum::from_slice(bytes).expect("a number");
        let signature = EcdsaSig::from_private_components(number(r), number(s)).expect("a signature");
        let digest = hash(MessageDigest::sha256(), message.as_bytes()).expect("a digest");
        signature.verify(&digest, &self.0.ec_key().expect("an EC key")).unwrap_or(false)
    }

    fn sign(&self, digest: Option<MessageDigest>, message: &[u8]) -> Vec<u8> {
        let signer = match digest {
            Some(digest) => Signer::new(digest, &self.0),
            None => Signer::new_without_digest(&self.0),
        };
        signer.and_then(|mut signer| signer.sign_oneshot_to_vec(message)).expect("a signature")
    }
}

/// The two numbers of an ECDSA signature, padded.
fn raw(der: &[u8], width: i32) -> Vec<u8> {
    let signature = EcdsaSig::from_der(der).expect("an ECDSA signature");
    let padded =
        |number: &openssl::bn::BigNumRef| number.to_vec_padded(width).expect("a number of its width");
    [padded(signature.r()), padded(signature.s())].concat()
}
