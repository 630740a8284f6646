//! X.509 certificates (RFC 5280, section 4).

use std::ops::Range;

use base64ct::{Base64, Encoding as _};
use jiff::Timestamp;

use crate::{
    der::{self, bits, extension, integer, name, oid, sequence, sequence_of, time},
    key::Key,
};

/// keyUsage: digitalSignature.
pub const DIGITAL_SIGNATURE: u8 = 0x80;
/// keyUsage: keyAgreement.
pub const KEY_AGREEMENT: u8 = 0x08;
/// keyUsage: keyCertSign.
pub const KEY_CERT_SIGN: u8 = 0x04;
/// keyUsage: cRLSign.
pub const CRL_SIGN: u8 = 0x02;

/// keyUsage.
pub const KEY_USAGE: &str = "2.5.29.15";
/// basicConstraints.
pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
/// nameConstraints.
pub const NAME_CONSTRAINTS: &str = "2.5.29.30";
/// certificatePolicies.
pub const POLICIES: &str = "2.5.29.32";
/// policyMappings.
pub const POLICY_MAPPINGS: &str = "2.5.29.33";
/// extKeyUsage.
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// What a certificate says. Each part can be left out, doubled or made wrong.
#[derive(Clone)]
pub struct Profile {
    /// Common name.
    pub name: String,
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// notBefore and notAfter.
    pub validity: Range<Timestamp>,
    /// Object identifiers and whole extensions (DER), in their order.
    pub extensions: Vec<(&'static str, Vec<u8>)>,
    /// Signed with SHA-1.
    pub sha1: bool,
    /// Another public key than that of the key (`SubjectPublicKeyInfo`, DER).
    pub public_key: Option<Vec<u8>>,
    /// Another algorithm inside than outside (DER).
    pub algorithm_inside: Option<Vec<u8>>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Entity {
    /// Common name.
    pub name: String,
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// The certificate.
    pub der: Vec<u8>,
    /// Its key.
    pub key: Key,
}

impl Profile {
    /// Nothing but a name and a validity. The serial number is drawn.
    pub fn new(name: &str, validity: Range<Timestamp>) -> Self {
        let mut serial = vec![0; 16];
        openssl::rand::rand_bytes(&mut serial).expect("randomness");
        serial[0] = serial[0] & 0x7f | 0x40;
        Self {
            name: name.to_owned(),
            serial,
            validity,
            extensions: Vec::new(),
            sha1: false,
            public_key: None,
            algorithm_inside: None,
        }
    }

    /// An authority that may have so many authorities beneath it, and signs lists.
    pub fn authority(name: &str, validity: Range<Timestamp>, path_length: Option<u8>) -> Self {
        Self::new(name, validity).constraints(true, path_length).usage(KEY_CERT_SIGN | CRL_SIGN)
    }

    /// A certificate that signs documents.
    pub fn signer(name: &str, validity: Range<Timestamp>) -> Self {
        Self::new(name, validity).constraints(false, None).usage(DIGITAL_SIGNATURE)
    }

    /// Takes an extension out.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.extensions.retain(|(known, _)| *known != id);
        self
    }

    /// Sets an extension, in its place if it is there.
    #[must_use]
    pub fn with(mut self, id: &'static str, critical: bool, content: &[u8]) -> Self {
        let whole = extension(id, critical, content);
        match self.extensions.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = whole,
            None => self.extensions.push((id, whole)),
        }
        self
    }

    /// Adds an extension, even if it is there.
    #[must_use]
    pub fn twice(mut self, id: &'static str, critical: bool, content: &[u8]) -> Self {
        self.extensions.push((id, extension(id, critical, content)));
        self
    }

    /// basicConstraints.
    #[must_use]
    pub fn constraints(self, authority: bool, path_length: Option<u8>) -> Self {
        let ca = if authority { der::TRUE } else { &[] };
        let length = path_length.map_or(Vec::new(), |length| integer(&[length]));
        self.with(BASIC_CONSTRAINTS, true, &sequence(&[ca, &length]))
    }

    /// keyUsage.
    #[must_use]
    pub fn usage(self, usage: u8) -> Self {
        let unused = u8::try_from(usage.trailing_zeros()).expect("at most eight");
        self.with(KEY_USAGE, true, &der::value(0x03, &[&[unused, usage]]))
    }

    /// extKeyUsage.
    #[must_use]
    pub fn purposes(self, purposes: &[&str]) -> Self {
        self.with(EXTENDED_KEY_USAGE, false, &sequence_of(purposes.iter().map(|purpose| oid(purpose))))
    }

    /// certificatePolicies.
    #[must_use]
    pub fn policies(self, policies: &[&str]) -> Self {
        let policies = policies.iter().map(|policy| sequence(&[&oid(policy)]));
        self.with(POLICIES, false, &sequence_of(policies))
    }

    /// policyMappings, of one policy to another.
    #[must_use]
    pub fn mapping(self, from: &str, to: &str) -> Self {
        self.with(POLICY_MAPPINGS, true, &sequence(&[&sequence(&[&oid(from), &oid(to)])]))
    }

    /// nameConstraints that permit one common name and what stands beneath it.
    #[must_use]
    pub fn permitting(self, common_name: &str) -> Self {
        let subtree = sequence(&[&der::value(0xa4, &[&name(common_name)])]);
        self.with(NAME_CONSTRAINTS, true, &sequence(&[&der::value(0xa0, &[&subtree])]))
    }

    /// The certificate, over a key, by an issuer.
    pub fn issue(&self, key: &Key, issuer: &Entity) -> Entity {
        self.sign(key, &issuer.name, &issuer.key)
    }

    /// The certificate over a key, by that key.
    pub fn self_signed(&self, key: &Key) -> Entity {
        self.sign(key, &self.name, key)
    }

    /// The certificate over a key, by another, whatever the issuer's name.
    pub fn sign(&self, key: &Key, issuer: &str, issuer_key: &Key) -> Entity {
        let sign = |message: &[u8]| {
            if self.sha1 { issuer_key.sign_x509_sha1(message) } else { issuer_key.sign_x509(message) }
        };
        let (_, algorithm) = sign(&[]);
        // A certificate without extensions is of version 1.
        let version =
            if self.extensions.is_empty() { Vec::new() } else { der::value(0xa0, &[&integer(&[2])]) };
        let validity = sequence(&[&time(self.validity.start), &time(self.validity.end)]);
        let extensions = self.extensions.iter().map(|(_, whole)| whole.clone());
        let extensions = der::value(0xa3, &[&sequence_of(extensions)]);
        let signed = sequence(&[
            &version,
            &integer(&self.serial),
            self.algorithm_inside.as_ref().unwrap_or(&algorithm),
            &name(issuer),
            &validity,
            &name(&self.name),
            self.public_key.as_ref().unwrap_or(&key.public_der()),
            if self.extensions.is_empty() { &[] } else { &extensions },
        ]);
        let (signature, _) = sign(&signed);
        Entity {
            name: self.name.clone(),
            serial: self.serial.clone(),
            der: sequence(&[&signed, &algorithm, &bits(&signature)]),
            key: key.clone(),
        }
    }
}

impl Entity {
    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        der::pem("CERTIFICATE", &self.der)
    }

    /// The certificate as an entry of `x5c`.
    pub fn x5c(&self) -> String {
        Base64::encode_string(&self.der)
    }
}
