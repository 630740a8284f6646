//! What the vendor's side makes, judged by `openssl verify` and by opening it.

use std::{fs, process::Command};

use chancery_envelope::{
    AuthoringError, Authority, Claims, Recipient, RecipientError, Trust,
    authoring::{Root, Signer},
    oid, open,
};
use serde_json::{Value, json};

use crate::support::{claims, days, now};

const PASSPHRASE: &str = "correct horse battery staple";

fn root() -> Root {
    Root::create("Vendor licensing root", now()..now() + days(7000)).unwrap()
}

fn read(claims: &Value) -> Claims {
    serde_json::from_value(claims.clone()).unwrap()
}

#[test]
fn an_independent_judge_accepts_the_chain_under_its_policy_and_under_no_other() {
    let root = root();
    let signer = root.signer("Signer", now()..now() + days(1000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (root_file, signer_file) = (folder.path().join("root.pem"), folder.path().join("signer.pem"));
    fs::write(&root_file, root.certificate_pem().unwrap()).unwrap();
    fs::write(&signer_file, signer.chain_pem().unwrap()).unwrap();
    let judge = |policy: &str| {
        let at = (now() + days(1)).as_second().to_string();
        Command::new("openssl")
            .args(["verify", "-x509_strict", "-check_ss_sig", "-policy_check", "-explicit_policy"])
            .args(["-no-CAfile", "-no-CApath", "-no-CAstore", "-attime", &at, "-policy", policy])
            .arg("-CAfile")
            .args([&root_file, &signer_file])
            .output()
            .expect("the openssl command must be installed")
    };
    let verdict = judge(&oid::LICENSE_SIGNING_POLICY.to_string());
    assert!(verdict.status.success(), "{verdict:?}");
    assert!(!judge(&oid::DEVELOPMENT_POLICY.to_string()).status.success());
}

#[test]
fn a_stored_root_and_signer_seal_what_opens() {
    let root = root();
    let stored =
        Root::from_pem(&root.certificate_pem().unwrap(), &root.key_pem(PASSPHRASE).unwrap(), PASSPHRASE)
            .unwrap();
    let signer = stored.signer("Signer", now()..now() + days(1000)).unwrap();
    let signer =
        Signer::from_pem(&signer.chain_pem().unwrap(), &signer.key_pem(PASSPHRASE).unwrap(), PASSPHRASE)
            .unwrap();

    let recipient = Recipient::generate("site-1").unwrap();
    let token = signer.seal(&read(&claims()), &recipient.public()).unwrap();
    let trust = Trust::from_pem(&root.certificate_pem().unwrap()).unwrap();
    let license = open(&token, &recipient, &trust, now()).unwrap();
    assert_eq!(license.authority(), Authority::Vendor);
    assert_eq!(license.chain_expires_at(), signer.expires_at());
}

#[test]
fn a_stored_key_is_encrypted_and_opens_only_with_its_passphrase_beside_its_certificate() {
    let root = root();
    let (certificate, key) = (root.certificate_pem().unwrap(), root.key_pem(PASSPHRASE).unwrap());
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(root.key_pem("").unwrap_err(), AuthoringError::EmptyPassphrase);
    for wrong in ["", "correct horse"] {
        assert_eq!(Root::from_pem(&certificate, &key, wrong).unwrap_err(), AuthoringError::Key);
    }
    let other = self::root().certificate_pem().unwrap();
    assert_eq!(Root::from_pem(&other, &key, PASSPHRASE).unwrap_err(), AuthoringError::OtherKey);
    assert!(Signer::from_pem("", &key, PASSPHRASE).is_err());
    // OpenSSL must not ask for the passphrase on the terminal.
    assert_eq!(Recipient::from_pem("site-1", &key).unwrap_err(), RecipientError::Pem);
}

#[test]
fn nothing_outlives_what_vouches_for_it() {
    let root = root();
    let refusal = root.signer("Signer", now()..now() + days(7001)).unwrap_err();
    assert!(matches!(refusal, AuthoringError::BeyondIssuer { .. }), "{refusal}");

    // The license ends in time, its grace does not.
    let mut document = claims();
    document["graceDays"] = json!(20);
    let signer = root.signer("Signer", now()..now() + days(365 + 19)).unwrap();
    let recipient = Recipient::generate("site-1").unwrap();
    let refusal = signer.seal(&read(&document), &recipient.public()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::BeyondSigner { .. }), "{refusal}");
    document["graceDays"] = json!(19);
    assert!(signer.seal(&read(&document), &recipient.public()).is_ok());
}

#[test]
fn what_would_not_open_is_not_sealed() {
    let signer = root().signer("Signer", now()..now() + days(1000)).unwrap();
    let recipient = Recipient::generate("site-1").unwrap();
    let mut document = claims();
    document["licenseId"] = json!("");
    let refusal = signer.seal(&read(&document), &recipient.public()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::Claims(_)), "{refusal}");

    document = claims();
    document["metadata"] = json!({ "padding": "x".repeat(300 * 1024) });
    let refusal = signer.seal(&read(&document), &recipient.public()).unwrap_err();
    assert!(matches!(refusal, AuthoringError::TooLarge { .. }), "{refusal}");
}

#[test]
fn names_and_validities_that_no_certificate_may_have_are_refused() {
    for name in ["", " ", &"x".repeat(65)] {
        let refusal = Root::create(name, now()..now() + days(1)).unwrap_err();
        assert_eq!(refusal, AuthoringError::Name { name: name.to_owned() });
    }
    let refusal = Root::create("Root", now()..now()).unwrap_err();
    assert_eq!(refusal, AuthoringError::NeverValid { until: now() });
}

#[test]
fn nothing_prints_keys() {
    let root = root();
    let signer = root.signer("Signer", now()..now() + days(1)).unwrap();
    let printed = format!("{root:?} {signer:?}");
    assert_eq!(printed, "Root(Vendor licensing root) Signer(Signer)");
}
