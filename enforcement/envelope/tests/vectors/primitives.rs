//! Wycheproof's signatures and key transport: known attacks on the primitives, against the keys of the doors.

use std::sync::LazyLock;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use chancery_envelope::{
    Recipient,
    jose::{PublicKey, SignatureAlgorithm, decrypt},
};
use openssl::symm::{Cipher, encrypt_aead};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_oaep, rsa_pss_verify};

use crate::tally::Tally;

pub(crate) static ES256: LazyLock<Tally> =
    LazyLock::new(|| ecdsa_tally(ecdsa::TestName::EcdsaSecp256r1Sha256P1363));
pub(crate) static ES384: LazyLock<Tally> =
    LazyLock::new(|| ecdsa_tally(ecdsa::TestName::EcdsaSecp384r1Sha384P1363));
pub(crate) static PS256: LazyLock<Tally> = LazyLock::new(pss_tally);
pub(crate) static EDDSA: LazyLock<Tally> = LazyLock::new(eddsa_tally);
pub(crate) static OAEP: LazyLock<Tally> = LazyLock::new(oaep_tally);

fn ecdsa_tally(set: ecdsa::TestName) -> Tally {
    let algorithm = match set {
        ecdsa::TestName::EcdsaSecp256r1Sha256P1363 => SignatureAlgorithm::Es256,
        _ => SignatureAlgorithm::Es384,
    };
    let mut tally = Tally::default();
    for group in ecdsa::TestSet::load(set).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        for test in group.tests {
            let accepted = key.verifies(algorithm, &test.msg, &test.sig);
            tally.verdict(
                || format!("{set:?} {} ({})", test.tc_id, test.comment),
                valid(test.result),
                accepted,
            );
        }
    }
    tally
}

fn pss_tally() -> Tally {
    let mut tally = Tally::default();
    for set in [
        rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32,
        rsa_pss_verify::TestName::RsaPss3072Sha256Mgf1SaltLen32,
        rsa_pss_verify::TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in group.tests {
                let accepted = key.verifies(SignatureAlgorithm::Ps256, &test.msg, &test.sig);
                tally.verdict(
                    || format!("{set:?} {} ({})", test.tc_id, test.comment),
                    valid(test.result),
                    accepted,
                );
            }
        }
    }
    tally
}

fn eddsa_tally() -> Tally {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        for test in group.tests {
            let accepted = key.verifies(SignatureAlgorithm::EdDsa, &test.msg, &test.sig);
            tally.verdict(
                || format!("Ed25519 {} ({})", test.tc_id, test.comment),
                valid(test.result),
                accepted,
            );
        }
    }
    tally
}

/// RSA-OAEP-256 is behind the door of a JWE, whose key has 32 bytes and no label: vectors that have such a message are
/// the encrypted key of a token made around them.
fn oaep_tally() -> Tally {
    let mut tally = Tally::default();
    for set in [
        rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256,
        rsa_oaep::TestName::Rsa3072Sha256Mgf1Sha256,
        rsa_oaep::TestName::Rsa4096Sha256Mgf1Sha256,
    ] {
        for group in rsa_oaep::TestSet::load(set).unwrap().test_groups {
            let recipient = Recipient::from_pem("wycheproof", &group.pem).unwrap();
            for test in group.tests {
                if test.pt.len() != 32 || !test.label.is_empty() {
                    tally.left_out += 1;
                    continue;
                }
                let content = decrypt(&token_around(&test.ct, &test.pt), &recipient);
                let accepted = content.is_ok_and(|content| content == b"sealed around a vector");
                tally.verdict(
                    || format!("{set:?} {} ({})", test.tc_id, test.comment),
                    valid(test.result),
                    accepted,
                );
            }
        }
    }
    tally
}

fn token_around(encrypted_key: &[u8], key: &[u8]) -> String {
    let part = Base64UrlUnpadded::encode_string;
    let header = part(br#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#);
    let (iv, mut tag) = ([7; 12], [0; 16]);
    let plain = b"sealed around a vector";
    let content =
        encrypt_aead(Cipher::aes_256_gcm(), key, Some(&iv), header.as_bytes(), plain, &mut tag).unwrap();
    [header, part(encrypted_key), part(&iv), part(&content), part(&tag)].join(".")
}

/// None of these sets leaves a verdict open. If a new edition does, which way it goes must be stated here.
fn valid(result: TestResult) -> bool {
    match result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("a vector leaves its verdict open"),
    }
}

#[test]
fn ecdsa_on_p256_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    ES256.assert_nothing_wrong();
}

#[test]
fn ecdsa_on_p384_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    ES384.assert_nothing_wrong();
}

#[test]
fn pss_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    PS256.assert_nothing_wrong();
}

#[test]
fn ed25519_verifies_what_wycheproof_calls_valid_and_nothing_else() {
    EDDSA.assert_nothing_wrong();
}

#[test]
fn a_content_key_that_wycheproof_encrypted_with_oaep_opens_a_token() {
    OAEP.assert_nothing_wrong();
}
