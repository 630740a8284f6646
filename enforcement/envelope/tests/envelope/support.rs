//! A licensing PKI and tokens made by hand, so that each can be wrong in one way.

use std::ops::Range;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use chancery_envelope::{EnvelopeError, Recipient, RecipientPublic, Trust, VerifiedLicense, oid};
use const_oid::ObjectIdentifier;
use der::Encode as _;
use jiff::{SignedDuration, Timestamp};
use josekit::jwe::{ECDH_ES_A256KW, JweEncrypter, JweHeader, RSA_OAEP_256};
use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{Id, PKey, Private},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Signer},
    x509::{
        X509, X509CrlBuilder, X509Extension, X509NameBuilder, X509RevokedBuilder,
        extension::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
        },
    },
};
use serde_json::{Value, json};
use x509_cert::ext::pkix::{CertificatePolicies, certpolicy::PolicyInformation};

pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Claims that fit, valid for a year.
pub(crate) fn claims() -> Value {
    json!({
        "schema": "urn:chancery:license:1",
        "licenseId": "L-2026-1",
        "issuer": { "id": "vendor", "name": "Vendor" },
        "licensee": { "id": "acme", "name": "Acme" },
        "installationOwner": { "id": "acme", "name": "Acme" },
        "issuedAt": "2026-06-01T00:00:00Z",
        "notBefore": "2026-06-01T00:00:00Z",
        "expiresAt": "2027-06-01T00:00:00Z",
        "graceDays": 14,
        "binding": { "installationId": "site-1", "baseDomains": ["acme.example"] },
        "grant": {
            "products": { "chancery": { "edition": "pro" } },
            "features": { "tenancy.subtenants.v1": true },
            "commands": { "allow": [], "deny": [] },
            "quotas": { "tenants.root.max": 50 },
        },
    })
}

/// What a certificate says; each field can be made wrong.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) authority: Option<u32>,
    pub(crate) signs_documents: bool,
    pub(crate) purposes: Vec<ObjectIdentifier>,
    pub(crate) policies: Vec<ObjectIdentifier>,
    pub(crate) extra: Option<(&'static str, bool, Vec<u8>)>,
    pub(crate) validity: Range<Timestamp>,
    pub(crate) key: KeyKind,
    pub(crate) digest: MessageDigest,
    pub(crate) key_ids: bool,
    pub(crate) signs_crls: bool,
}

/// A kind of key.
#[derive(Clone, Copy)]
pub(crate) enum KeyKind {
    Ec(Nid),
    Rsa(u32),
    Ed25519,
}

impl KeyKind {
    pub(crate) fn generate(self) -> PKey<Private> {
        match self {
            Self::Ec(curve) => new_key(curve),
            Self::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap(),
            Self::Ed25519 => PKey::generate_ed25519().unwrap(),
        }
    }
}

impl Profile {
    fn valid(name: &'static str) -> Self {
        Self {
            name,
            authority: None,
            signs_documents: false,
            purposes: vec![],
            policies: vec![],
            extra: None,
            validity: now() - days(1)..now() + days(1000),
            key: KeyKind::Ec(Nid::X9_62_PRIME256V1),
            digest: MessageDigest::sha256(),
            key_ids: true,
            signs_crls: true,
        }
    }

    pub(crate) fn root() -> Self {
        let validity = now() - days(1)..now() + days(2000);
        Self { authority: Some(3), validity, ..Self::valid("root") }
    }

    pub(crate) fn intermediate() -> Self {
        let policies = vec![oid::LICENSE_SIGNING_POLICY];
        Self { authority: Some(0), policies, ..Self::valid("intermediate") }
    }

    pub(crate) fn signer() -> Self {
        Self {
            signs_documents: true,
            purposes: vec![oid::LICENSE_SIGNING_EKU],
            policies: vec![oid::LICENSE_SIGNING_POLICY],
            ..Self::valid("signer")
        }
    }

    /// The certificate by `issuer`, or by itself.
    pub(crate) fn issue(&self, issuer: Option<&Entity>) -> Entity {
        let key = self.key.generate();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_nid(Nid::COMMONNAME, self.name).unwrap();
        let name = name.build();

        let mut draft = X509::builder().unwrap();
        draft.set_version(2).unwrap();
        let mut serial = BigNum::new().unwrap();
        serial.rand(64, openssl::bn::MsbOption::ONE, false).unwrap();
        draft.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
        draft.set_subject_name(&name).unwrap();
        draft.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.certificate.subject_name())).unwrap();
        draft.set_pubkey(&key).unwrap();
        draft.set_not_before(&Asn1Time::from_unix(self.validity.start.as_second()).unwrap()).unwrap();
        draft.set_not_after(&Asn1Time::from_unix(self.validity.end.as_second()).unwrap()).unwrap();

        let mut constraints = BasicConstraints::new();
        constraints.critical();
        let mut usage = KeyUsage::new();
        usage.critical();
        if let Some(path_length) = self.authority {
            constraints.ca().pathlen(path_length);
            usage.key_cert_sign();
            if self.signs_crls {
                usage.crl_sign();
            }
        }
        if self.signs_documents {
            usage.digital_signature();
        } else if self.authority.is_none() {
            usage.key_agreement();
        }
        draft.append_extension(constraints.build().unwrap()).unwrap();
        draft.append_extension(usage.build().unwrap()).unwrap();
        if self.key_ids {
            let ski = SubjectKeyIdentifier::new().build(&draft.x509v3_context(None, None)).unwrap();
            draft.append_extension(ski).unwrap();
        }
        if let Some(issuer) = issuer.filter(|_| self.key_ids) {
            let context = draft.x509v3_context(Some(&issuer.certificate), None);
            let aki = AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap();
            draft.append_extension(aki).unwrap();
        }
        if !self.purposes.is_empty() {
            let mut purposes = ExtendedKeyUsage::new();
            for purpose in &self.purposes {
                purposes.other(&purpose.to_string());
            }
            draft.append_extension(purposes.build().unwrap()).unwrap();
        }
        if !self.policies.is_empty() {
            let policies = self
                .policies
                .iter()
                .map(|&policy_identifier| PolicyInformation { policy_identifier, policy_qualifiers: None });
            let der = CertificatePolicies(policies.collect()).to_der().unwrap();
            draft.append_extension(extension("2.5.29.32", false, &der)).unwrap();
        }
        if let Some((id, critical, der)) = &self.extra {
            draft.append_extension(extension(id, *critical, der)).unwrap();
        }
        let signing_key = issuer.map_or(&key, |issuer| &issuer.key);
        let digest = if signing_key.id() == Id::ED25519 { MessageDigest::null() } else { self.digest };
        draft.sign(signing_key, digest).unwrap();
        Entity { certificate: draft.build(), key }
    }
}

/// A certificate and its key.
pub(crate) struct Entity {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

impl Entity {
    pub(crate) fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    /// As an entry of `x5c`.
    pub(crate) fn x5c(&self) -> String {
        Base64::encode_string(&self.certificate.to_der().unwrap())
    }
}

/// A deployment that trusts one root, and that root's signer.
pub(crate) struct World {
    pub(crate) root: Entity,
    pub(crate) signer: Entity,
    pub(crate) recipient: Recipient,
    pub(crate) trust: Trust,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = Profile::root().issue(None);
        let signer = Profile::signer().issue(Some(&root));
        let trust = Trust::from_pem(&root.pem()).unwrap();
        Self { root, signer, recipient: Recipient::generate("site-1-2026").unwrap(), trust }
    }

    /// The header our signer would write.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "ES256", "x5c": [self.signer.x5c()] })
    }

    pub(crate) fn open(&self, token: &str) -> Result<VerifiedLicense, EnvelopeError> {
        chancery_envelope::open(token, &self.recipient, &self.trust, now())
    }

    /// Why the token is refused.
    pub(crate) fn refusal(&self, token: &str) -> EnvelopeError {
        self.open(token).expect_err("the token must be refused")
    }

    /// A good token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.seal(&jws(&self.header(), claims, &self.signer.key))
    }

    /// A good token by this signer, with `above` as the rest of `x5c`.
    pub(crate) fn token_by(&self, signer: &Entity, above: &[&Entity]) -> String {
        let mut x5c = vec![signer.x5c()];
        x5c.extend(above.iter().map(|entity| entity.x5c()));
        self.seal(&jws(&json!({ "alg": "ES256", "x5c": x5c }), &claims(), &signer.key))
    }

    /// A good JWE around any content.
    pub(crate) fn seal(&self, content: &str) -> String {
        jwe(content, &self.recipient.public(), |_| {})
    }
}

/// A compact JWS by this key, whatever its header says.
pub(crate) fn jws(header: &Value, claims: &Value, key: &PKey<Private>) -> String {
    let signed = format!("{}.{}", base64url(&header.to_string()), base64url(&claims.to_string()));
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature(signed.as_bytes(), key)))
}

/// As a JWS carries it: the only algorithm that fits the key.
fn signature(message: &[u8], key: &PKey<Private>) -> Vec<u8> {
    match key.id() {
        Id::EC => {
            let key = key.ec_key().unwrap();
            let width = i32::try_from(key.group().degree() / 8).unwrap();
            let digest = if width == 48 { MessageDigest::sha384() } else { MessageDigest::sha256() };
            let signature = EcdsaSig::sign(&hash(digest, message).unwrap(), &key).unwrap();
            let number = |n: &openssl::bn::BigNumRef| n.to_vec_padded(width).unwrap();
            [number(signature.r()), number(signature.s())].concat()
        }
        Id::RSA => {
            let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
            signer.sign_oneshot_to_vec(message).unwrap()
        }
        _ => Signer::new_without_digest(key).unwrap().sign_oneshot_to_vec(message).unwrap(),
    }
}

/// A compact JWE with A256GCM by the algorithm the recipient's key is for, its header first changed by `change`.
pub(crate) fn jwe(content: &str, recipient: &RecipientPublic, change: impl Fn(&mut JweHeader)) -> String {
    let jwk = josekit::jwk::Jwk::from_bytes(serde_json::to_vec(recipient).unwrap()).unwrap();
    let encrypter: Box<dyn JweEncrypter> = match jwk.key_type() {
        "RSA" => Box::new(RSA_OAEP_256.encrypter_from_jwk(&jwk).unwrap()),
        _ => Box::new(ECDH_ES_A256KW.encrypter_from_jwk(&jwk).unwrap()),
    };
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    change(&mut header);
    josekit::jwe::serialize_compact(content.as_bytes(), &header, &*encrypter).unwrap()
}

/// A complete list by `issuer` over some days around now, in PEM.
pub(crate) fn crl(issuer: &Entity, revoked: &[&Entity], validity: Range<Timestamp>) -> String {
    crl_with(issuer, revoked, validity, None)
}

/// The same with one more extension.
pub(crate) fn crl_with(
    issuer: &Entity,
    revoked: &[&Entity],
    validity: Range<Timestamp>,
    extra: Option<X509Extension>,
) -> String {
    let time = |at: Timestamp| Asn1Time::from_unix(at.as_second()).unwrap();
    let mut list = X509CrlBuilder::new().unwrap();
    list.set_issuer_name(issuer.certificate.subject_name()).unwrap();
    list.set_last_update(&time(validity.start)).unwrap();
    list.set_next_update(&time(validity.end)).unwrap();
    let draft = X509::builder().unwrap();
    let context = draft.x509v3_context(Some(&issuer.certificate), None);
    list.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap()).unwrap();
    list.append_extension(extension("2.5.29.20", false, &[2, 1, 7])).unwrap();
    if let Some(extra) = extra {
        list.append_extension(extra).unwrap();
    }
    for entity in revoked {
        let mut entry = X509RevokedBuilder::new().unwrap();
        entry.set_serial_number(entity.certificate.serial_number()).unwrap();
        entry.set_revocation_date(&time(validity.start)).unwrap();
        list.add_revoked(entry.build()).unwrap();
    }
    list.sign(&issuer.key, MessageDigest::sha256()).unwrap();
    String::from_utf8(list.build().unwrap().to_pem().unwrap()).unwrap()
}

pub(crate) fn base64url(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

/// The token with one dotted part replaced.
pub(crate) fn with_part(token: &str, index: usize, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bytes = Base64UrlUnpadded::decode_vec(&parts[index]).unwrap();
    parts[index] = Base64UrlUnpadded::encode_string(&change(bytes));
    parts.join(".")
}

pub(crate) fn new_key(curve: Nid) -> PKey<Private> {
    let curve = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap()
}

pub(crate) fn extension(id: &str, critical: bool, der: &[u8]) -> X509Extension {
    let id = Asn1Object::from_str(id).unwrap();
    X509Extension::new_from_der(&id, critical, &Asn1OctetString::new_from_bytes(der).unwrap()).unwrap()
}
