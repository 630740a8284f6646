//! License requests: what a deployment signs, a vendor reads; what was touched on the way, nobody does.

use std::{fs, process::Command};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use chancery_envelope::{
    Recipient,
    armor::{ArmorError, Label, armor},
    request::{Contact, ContactRole, Draft, LicenseRequest, MAX_REQUEST_BYTES, RequestError, SignedRequest},
};
use jiff::Timestamp;
use openssl::{
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509Name, X509Req},
};
use serde_json::{Value, json};

const INSTALLATION: &str = "0197f8a0-2f8e-7cc1-9d11-5b6f0e3c2a10";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn contact() -> Contact {
    Contact {
        email: "ada@acme.example".into(),
        given_name: "Ada".into(),
        family_name: "Łovelace".into(),
        roles: [ContactRole::Technical, ContactRole::Administrator].into(),
        display_name: None,
    }
}

fn draft() -> Draft {
    LicenseRequest::draft("R-1", now(), INSTALLATION, "Acme")
        .contact(contact())
        .base_domain("acme.example")
        .renewing("L-2025-1")
        .wanting("chancery", "pro")
}

fn recipient() -> Recipient {
    Recipient::generate("site-1").unwrap()
}

fn signed() -> SignedRequest {
    draft().sign(&recipient()).unwrap()
}

/// A deployment's key, in the open, so that a test can sign what no deployment would.
struct Forger {
    key: PKey<Private>,
    recipient: Recipient,
}

impl Forger {
    fn new() -> Self {
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
        let pem = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        Self { key, recipient: Recipient::from_pem("site-1", &pem).unwrap() }
    }

    fn document(&self) -> Value {
        serde_json::to_value(draft().sign(&self.recipient).unwrap().request()).unwrap()
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "kid": "site-1", "typ": "chancery-license-request+jws" })
    }

    /// Well signed, whatever it says.
    fn sign(&self, header: &Value, document: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(document));
        let digest = hash(MessageDigest::sha256(), signed.as_bytes()).unwrap();
        let pair = EcdsaSig::sign(&digest, &self.key.ec_key().unwrap()).unwrap();
        let mut signature = pair.r().to_vec_padded(32).unwrap();
        signature.extend(pair.s().to_vec_padded(32).unwrap());
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
    }

    fn csr(&self, names: &[(Nid, &str)], by: &PKey<Private>) -> String {
        let mut name = X509Name::builder().unwrap();
        for (kind, text) in names {
            name.append_entry_by_nid(*kind, text).unwrap();
        }
        let mut request = X509Req::builder().unwrap();
        request.set_subject_name(&name.build()).unwrap();
        request.set_pubkey(&self.key).unwrap();
        request.sign(by, MessageDigest::sha256()).unwrap();
        Base64::encode_string(&request.build().to_der().unwrap())
    }
}

#[test]
fn a_vendor_reads_what_a_deployment_signed() {
    let recipient = recipient();
    let signed = draft().sign(&recipient).unwrap();
    for text in [signed.token().to_owned(), signed.armored(), format!(" {}\r\n", signed.token())] {
        let request = LicenseRequest::verify(&text).unwrap();
        let document = request.document();
        assert_eq!(request.installation_id(), INSTALLATION);
        assert_eq!((document.request_id.as_str(), document.generated_at), ("R-1", now()));
        assert_eq!((document.contacts.as_slice(), document.base_domains.len()), ([contact()].as_slice(), 1));
        assert_eq!(document.renews.as_deref(), Some("L-2025-1"));
        assert_eq!(document.wanted.as_ref().unwrap().edition, "pro");
        assert_eq!(request.recipient().key_id(), recipient.key_id());
        assert_eq!(request.fingerprint(), signed.request().fingerprint());
        assert_eq!(request.fingerprint().len(), 64);
    }
}

#[test]
fn only_the_public_half_leaves() {
    let signed = signed();
    let document = serde_json::to_value(signed.request()).unwrap();
    let mut members: Vec<&String> = document["recipient"].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
}

#[test]
fn the_fingerprint_belongs_to_the_key_and_not_to_the_request() {
    let recipient = recipient();
    let first = draft().sign(&recipient).unwrap();
    let renewal =
        LicenseRequest::draft("R-2", now(), INSTALLATION, "Acme Ltd").contact(contact()).sign(&recipient);
    assert_eq!(first.request().fingerprint(), renewal.unwrap().request().fingerprint());
    assert_ne!(first.request().fingerprint(), signed().request().fingerprint());
}

#[test]
fn an_rsa_key_signs_with_ps256_and_an_x25519_key_cannot_sign() {
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
    let rsa = Recipient::from_pem("site-1", std::str::from_utf8(&rsa).unwrap()).unwrap();
    let signed = draft().sign(&rsa).unwrap();
    let header = Base64UrlUnpadded::decode_vec(signed.token().split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["alg"], "PS256");
    assert_eq!(LicenseRequest::verify(signed.token()).unwrap().recipient().key_id(), "site-1");

    let x25519 = PKey::generate_x25519().unwrap().private_key_to_pem_pkcs8().unwrap();
    let x25519 = Recipient::from_pem("site-1", std::str::from_utf8(&x25519).unwrap()).unwrap();
    assert_eq!(draft().sign(&x25519).unwrap_err(), RequestError::CannotSign);
}

#[test]
fn an_independent_judge_accepts_the_signing_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.der");
    let der = Base64::decode_vec(&signed().request().document().certificate_signing_request).unwrap();
    fs::write(&file, der).unwrap();
    let verdict = Command::new("openssl")
        .args(["req", "-inform", "DER", "-verify", "-noout", "-subject", "-nameopt", "RFC2253", "-in"])
        .arg(&file)
        .output()
        .expect("the openssl command must be installed");
    assert!(verdict.status.success(), "{verdict:?}");
    assert_eq!(String::from_utf8_lossy(&verdict.stdout).trim(), format!("subject=CN={INSTALLATION}"));
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let signed = signed();
    let parts: Vec<&str> = signed.token().split('.').collect();
    let document = Base64UrlUnpadded::decode_vec(parts[1]).unwrap();
    let changed = String::from_utf8(document).unwrap().replace("\"Acme\"", "\"Evil\"");
    let changed = Base64UrlUnpadded::encode_string(changed.as_bytes());
    let other = self::signed();
    let other: Vec<&str> = other.token().split('.').collect();
    for (token, refusal) in [
        (format!("{}.{changed}.{}", parts[0], parts[2]), RequestError::Signature),
        (format!("{}.{}.{}", parts[0], parts[1], other[2]), RequestError::Signature),
        (format!("{}.{}.{}", parts[0], parts[1], &parts[2][2..]), RequestError::Signature),
        (format!("{}.{}.", parts[0], parts[1]), RequestError::Signature),
        (format!("{}.{}", parts[0], parts[1]), RequestError::NotCompact),
        (format!("{}.{}.{}", parts[0], parts[1], "A"), RequestError::NotCompact),
        (format!("{}.{}", signed.token(), parts[2]), RequestError::NotCompact),
        ("a.b.c".to_owned(), RequestError::NotCompact),
    ] {
        assert_eq!(LicenseRequest::verify(&token).unwrap_err(), refusal, "{token}");
    }
}

#[test]
fn a_header_that_is_not_a_requests_is_refused() {
    let forger = Forger::new();
    let document = forger.document();
    assert!(LicenseRequest::verify(&forger.sign(&Forger::header(), &document)).is_ok());
    for (change, refusal) in [
        (json!({ "alg": "none" }), RequestError::Header),
        (json!({ "alg": "HS256" }), RequestError::Header),
        (json!({ "alg": "ES384" }), RequestError::Signature),
        (json!({ "alg": "EdDSA" }), RequestError::Signature),
        (json!({ "kid": "site-2" }), RequestError::OtherKey),
        (json!({ "typ": "JWT" }), RequestError::Header),
        (json!({ "crit": ["b64"], "b64": false }), RequestError::Header),
        (json!({ "jwk": {} }), RequestError::Header),
        (json!({ "jku": "https://evil.example" }), RequestError::Header),
        (json!({ "x5c": [] }), RequestError::Header),
    ] {
        let mut header = Forger::header();
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let token = forger.sign(&header, &document);
        assert_eq!(LicenseRequest::verify(&token).unwrap_err(), refusal, "{change}");
    }
    for absent in ["alg", "kid", "typ"] {
        let mut header = Forger::header();
        header.as_object_mut().unwrap().remove(absent);
        let token = forger.sign(&header, &document);
        assert_eq!(LicenseRequest::verify(&token).unwrap_err(), RequestError::Header, "{absent}");
    }
}

#[test]
fn a_document_that_does_not_fit_is_refused_by_its_member_however_well_it_is_signed() {
    let forger = Forger::new();
    let long = "x".repeat(257);
    for (pointer, value, word) in [
        ("/schema", json!("urn:chancery:license-request:2"), "urn:chancery:license-request:2"),
        ("/schema", json!(1), "fit the schema"),
        ("/requestId", json!(""), "requestId"),
        ("/generatedAt", json!("yesterday"), "generatedAt"),
        ("/installationId", json!("x".repeat(65)), "installationId"),
        ("/organizationName", json!(" "), "organizationName"),
        ("/organizationName", json!(long), "organizationName"),
        ("/organizationName", json!("Acme\u{1b}[2J"), "control characters"),
        ("/organizationName", json!("Acme\u{202e}emcA"), "control characters"),
        ("/contacts", json!([]), "contacts"),
        ("/contacts/0/roles", json!([]), "contacts.roles"),
        ("/contacts/0/roles", json!(["OWNER"]), "contacts[0].roles[0]"),
        ("/contacts/0/email", json!("acme.example"), "contacts.email"),
        ("/contacts/0/givenName", json!(""), "contacts.givenName"),
        ("/baseDomains", json!(vec!["acme.example"; 33]), "baseDomains"),
        ("/baseDomains/0", json!("acme\nexample"), "baseDomains"),
        ("/renews", json!(""), "renews"),
        ("/wanted", json!({ "product": "chancery" }), "wanted"),
        ("/recipient/crv", json!("P-521"), "recipient"),
        ("/recipient/kid", json!(""), "recipient"),
    ] {
        let mut document = forger.document();
        *document.pointer_mut(pointer).unwrap() = value.clone();
        let refusal = LicenseRequest::verify(&forger.sign(&Forger::header(), &document)).unwrap_err();
        assert!(refusal.to_string().contains(word), "{pointer} {value}: {refusal}");
    }
    for absent in ["schema", "contacts", "recipient", "certificateSigningRequest", "baseDomains"] {
        let mut document = forger.document();
        document.as_object_mut().unwrap().remove(absent);
        let refusal = LicenseRequest::verify(&forger.sign(&Forger::header(), &document)).unwrap_err();
        assert!(matches!(refusal, RequestError::Document { .. }), "{absent}: {refusal}");
    }
    let mut document = forger.document();
    document["grant"] = json!({ "products": { "chancery": {} } });
    let refusal = LicenseRequest::verify(&forger.sign(&Forger::header(), &document)).unwrap_err();
    assert!(matches!(refusal, RequestError::Document { .. }), "an unknown member: {refusal}");
}

#[test]
fn a_deployment_does_not_sign_what_a_vendor_would_refuse() {
    let unnamed = LicenseRequest::draft("R-1", now(), &"x".repeat(65), "Acme").contact(contact());
    let silent = LicenseRequest::draft("R-1", now(), INSTALLATION, "Acme");
    let crowded = (0..33).fold(draft(), |draft, n| draft.base_domain(&format!("{n}.acme.example")));
    for (draft, word) in [(unnamed, "installationId"), (silent, "contacts"), (crowded, "baseDomains")] {
        let refusal = draft.sign(&recipient()).unwrap_err();
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
}

#[test]
fn a_private_key_in_a_request_is_refused_whatever_its_kind() {
    let forger = Forger::new();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let mut document = forger.document();
        document["recipient"][member] = json!("AAAA");
        let refusal = LicenseRequest::verify(&forger.sign(&Forger::header(), &document)).unwrap_err();
        assert_eq!(refusal, RequestError::PrivateKey, "{member}");
    }
}

#[test]
fn the_signing_request_must_be_the_recipient_keys_own_for_the_installation_alone() {
    let (forger, other) = (Forger::new(), Forger::new());
    let name = [(Nid::COMMONNAME, INSTALLATION)];
    let two = [(Nid::COMMONNAME, INSTALLATION), (Nid::ORGANIZATIONNAME, "Bank")];
    let trailing = {
        let mut der = Base64::decode_vec(&forger.csr(&name, &forger.key)).unwrap();
        der.push(0);
        Base64::encode_string(&der)
    };
    for (csr, refusal) in [
        (other.csr(&name, &other.key), RequestError::SigningRequestKey),
        (forger.csr(&name, &other.key), RequestError::SigningRequest),
        (forger.csr(&[(Nid::COMMONNAME, "site-2")], &forger.key), RequestError::SigningRequestName),
        (forger.csr(&[], &forger.key), RequestError::SigningRequestName),
        (forger.csr(&two, &forger.key), RequestError::SigningRequestName),
        (trailing, RequestError::SigningRequest),
        ("AAAA".to_owned(), RequestError::SigningRequest),
        ("not base64".to_owned(), RequestError::SigningRequest),
    ] {
        let mut document = forger.document();
        document["certificateSigningRequest"] = json!(csr);
        let token = forger.sign(&Forger::header(), &document);
        assert_eq!(LicenseRequest::verify(&token).unwrap_err(), refusal);
    }
}

#[test]
fn another_document_and_an_oversized_one_are_refused() {
    let token = signed().token().to_owned();
    let license = armor(Label::License, &token);
    let refusal = LicenseRequest::verify(&license).unwrap_err();
    assert_eq!(refusal, ArmorError::Label { expected: Some(Label::LicenseRequest) }.into());
    let long = "a.".repeat(MAX_REQUEST_BYTES);
    assert!(matches!(LicenseRequest::verify(&long).unwrap_err(), RequestError::TooLarge { .. }));
}

#[test]
fn nothing_of_a_request_prints_but_its_id_and_fingerprint() {
    let signed = signed();
    let fingerprint = signed.request().fingerprint();
    let printed = format!("{signed:?}");
    assert!(printed.contains(fingerprint) && printed.contains("R-1"), "{printed}");
    assert!(!printed.contains("acme") && !printed.contains(signed.token()), "{printed}");
}
