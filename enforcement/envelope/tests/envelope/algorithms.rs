//! Every algorithm of semantics 3.2, each with each.

use chancery_envelope::{EnvelopeError, Layer, Recipient, RecipientPublic, Stage, Trust, TrustError, open};
use openssl::{nid::Nid, pkey::PKey, rsa::Rsa};
use serde_json::json;

use crate::support::{KeyKind, Profile, World, claims, jwe, jws, now};

const SIGNERS: [(&str, KeyKind); 5] = [
    ("ES256", KeyKind::Ec(Nid::X9_62_PRIME256V1)),
    ("ES384", KeyKind::Ec(Nid::SECP384R1)),
    ("PS256", KeyKind::Rsa(2048)),
    ("PS256", KeyKind::Rsa(4096)),
    ("EdDSA", KeyKind::Ed25519),
];

fn recipients() -> Vec<Recipient> {
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let mut recipients = vec![Recipient::generate("site-1-2026").unwrap()];
    for key in [PKey::generate_x25519().unwrap(), rsa(2048), rsa(4096)] {
        let pem = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        recipients.push(Recipient::from_pem("site-1-2026", &pem).unwrap());
    }
    recipients
}

#[test]
fn every_signature_algorithm_opens_under_every_key_management_algorithm() {
    let world = World::new();
    let recipients = recipients();
    for (algorithm, key) in SIGNERS {
        let signer = Profile { key, ..Profile::signer() }.issue(Some(&world.root));
        let header = json!({ "alg": algorithm, "x5c": [signer.x5c()] });
        let content = jws(&header, &claims(), &signer.key);
        for recipient in &recipients {
            let token = jwe(&content, &recipient.public(), |_| {});
            let opened = open(&token, recipient, &world.trust, now());
            assert!(opened.is_ok(), "{algorithm} {recipient:?}: {opened:?}");
        }
    }
}

#[test]
fn authorities_may_have_any_of_the_keys_too() {
    for (name, key) in SIGNERS {
        let root = Profile { key, ..Profile::root() }.issue(None);
        let intermediate = Profile { key, ..Profile::intermediate() }.issue(Some(&root));
        let mut world = World::new();
        world.trust = Trust::from_pem(&root.pem()).unwrap();
        let signer = Profile::signer().issue(Some(&intermediate));
        assert!(world.open(&world.token_by(&signer, &[&intermediate])).is_ok(), "{name}");
    }
}

#[test]
fn an_rsa_key_is_neither_too_short_nor_too_much_work() {
    let world = World::new();
    for bits in [1024, 4104] {
        let signer = Profile { key: KeyKind::Rsa(bits), ..Profile::signer() }.issue(Some(&world.root));
        let header = json!({ "alg": "PS256", "x5c": [signer.x5c()] });
        let refusal = world.refusal(&world.seal(&jws(&header, &claims(), &signer.key)));
        assert_eq!(
            refusal.to_string(),
            format!("certificate 0 of x5c: an RSA modulus of {bits} bits; 2048 to 4096 are accepted")
        );
    }
}

#[test]
fn a_token_for_another_kind_of_key_names_what_is_accepted() {
    let world = World::new();
    let recipients = recipients();
    let content = jws(&world.header(), &claims(), &world.signer.key);
    let for_rsa = jwe(&content, &recipients[2].public(), |_| {});
    let refusal = open(&for_rsa, &recipients[0], &world.trust, now()).unwrap_err();
    let (found, accepted) = ("RSA-OAEP-256".to_owned(), "ECDH-ES+A256KW".to_owned());
    assert_eq!(refusal, EnvelopeError::Algorithm { layer: Layer::Jwe, name: "alg", found, accepted });
    // Another modulus, so another length.
    let refusal = open(&for_rsa, &recipients[3], &world.trust, now()).unwrap_err();
    assert_eq!(refusal.stage(), Stage::Format);
    // The curve is the ephemeral key's affair.
    let for_x25519 = jwe(&content, &recipients[1].public(), |_| {});
    assert_eq!(open(&for_x25519, &recipients[0], &world.trust, now()).unwrap_err(), EnvelopeError::Decrypt);
}

#[test]
fn a_recipient_of_any_kind_is_read_back_from_its_jwk_and_its_pem() {
    for recipient in recipients() {
        let stored = Recipient::from_pem("site-1-2026", &recipient.to_pem().unwrap()).unwrap();
        let (ours, read) = (recipient.public(), stored.public());
        assert_eq!(serde_json::to_value(&ours).unwrap(), serde_json::to_value(&read).unwrap());
        let jwk = serde_json::to_value(ours).unwrap();
        assert!(serde_json::from_value::<RecipientPublic>(jwk).is_ok());
    }
}

#[test]
fn a_content_key_of_the_wrong_length_is_refused() {
    let world = World::new();
    let recipient = recipients().remove(2);
    let content = jws(&world.header(), &claims(), &world.signer.key);
    let token = jwe(&content, &recipient.public(), |_| {});
    let jwk = serde_json::to_value(recipient.public()).unwrap();
    let key = josekit::jwk::Jwk::from_bytes(jwk.to_string()).unwrap();
    let encrypter = josekit::jwe::RSA_OAEP_256.encrypter_from_jwk(&key).unwrap();
    for bytes in [0, 1, 16, 31, 33] {
        let mut header = josekit::jwe::JweHeader::new();
        let short =
            josekit::jwe::JweEncrypter::encrypt(&encrypter, &vec![7; bytes], &header.clone(), &mut header);
        let short = short.unwrap().unwrap();
        let forged = crate::support::with_part(&token, 1, |_| short.clone());
        assert_eq!(
            open(&forged, &recipient, &world.trust, now()).unwrap_err(),
            EnvelopeError::Decrypt,
            "{bytes}"
        );
    }
}

/// A self-signed root by the `openssl` command, which can sign certificates with RSASSA-PSS.
fn pss_root(salt: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let arguments = [
        "req -x509 -newkey rsa:2048 -nodes -sha256 -days 1000 -subj /CN=root",
        "-addext keyUsage=critical,keyCertSign -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha256",
    ]
    .join(" ");
    let made = std::process::Command::new("openssl")
        .args(arguments.split(' '))
        .arg("-sigopt")
        .arg(format!("rsa_pss_saltlen:{salt}"))
        .arg("-keyout")
        .arg(key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

#[test]
fn a_certificate_may_be_signed_with_pss_under_the_usual_parameters_only() {
    assert!(Trust::from_pem(&pss_root("32")).is_ok());
    assert_eq!(Trust::from_pem(&pss_root("20")).unwrap_err(), TrustError::NotARoot { position: 0 });
}
