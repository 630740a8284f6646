//! JWS and JWE as others wrote them: Wycheproof, the RFCs' examples, and tokens of two other implementations.

use std::sync::LazyLock;

use chancery_envelope::{
    Recipient,
    jose::{PublicKey, decrypt, verify},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tally::Tally;

/// How many vectors the two files of Wycheproof hold, of which a part is here (jose/ORIGIN.md).
const WYCHEPROOF_JWS: usize = 401;
const WYCHEPROOF_JWE: usize = 139;

/// Valid in Wycheproof, and refused here: the profile of semantics 3.2 has no such algorithm.
const JWS_OUTSIDE: [(u64, &str); 4] = [
    (33, "RS256: RSA with PKCS #1 padding"),
    (345, "RS256: RSA with PKCS #1 padding (RFC 7520, figure 13)"),
    (346, "PS384 (RFC 7520, figure 20)"),
    (347, "ES512 on P-521 (RFC 7520, figure 27)"),
];
const JWE_OUTSIDE: [(u64, &str); 8] = [
    (54, "ECDH-ES+A128KW"),
    (62, "content A128GCM"),
    (67, "content A128CBC-HS256"),
    (68, "content A256CBC-HS512"),
    (78, "ECDH-ES without key wrapping"),
    (84, "RSA-OAEP with SHA-1"),
    (88, "content A128GCM"),
    (93, "content A256CBC-HS512"),
];

pub(crate) static JWS: LazyLock<Tally> = LazyLock::new(jws_tally);
pub(crate) static JWE: LazyLock<Tally> = LazyLock::new(jwe_tally);
pub(crate) static RFC: LazyLock<Tally> = LazyLock::new(|| tokens_tally(include_str!("jose/rfc.json")));
pub(crate) static IMPLEMENTATIONS: LazyLock<Tally> =
    LazyLock::new(|| tokens_tally(include_str!("jose/implementations.json")));

/// Wycheproof's schema, of which its other members are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wycheproof {
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    comment: String,
    #[serde(default)]
    public: Map<String, Value>,
    #[serde(default)]
    private: Map<String, Value>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: u64,
    comment: String,
    /// The content, in hex.
    pt: Option<String>,
    #[serde(alias = "jws", alias = "jwe")]
    token: String,
    result: String,
}

impl Test {
    fn valid(&self) -> bool {
        match self.result.as_str() {
            "valid" => true,
            "invalid" => false,
            other => panic!("`{other}` is no verdict"),
        }
    }

    fn note(&self, group: &Group, outside: &[(u64, &str)], accepted: bool, tally: &mut Tally) {
        let name = || format!("{} {} ({})", group.comment, self.tc_id, self.comment);
        if outside.iter().any(|(id, _)| *id == self.tc_id) {
            assert!(self.valid(), "{}: only what is valid there can be outside", name());
            tally.outside(name, accepted);
        } else {
            tally.verdict(name, self.valid(), accepted);
        }
    }
}

fn jws_tally() -> Tally {
    let mut tally = Tally::default();
    let set: Wycheproof = serde_json::from_str(include_str!("jose/wycheproof_jws.json")).unwrap();
    for group in &set.test_groups {
        for test in &group.tests {
            test.note(group, &JWS_OUTSIDE, verifies(&test.token, &group.public).is_some(), &mut tally);
        }
    }
    tally.left_out = WYCHEPROOF_JWS - tally.cases;
    tally
}

fn jwe_tally() -> Tally {
    let mut tally = Tally::default();
    let set: Wycheproof = serde_json::from_str(include_str!("jose/wycheproof_jwe.json")).unwrap();
    for group in &set.test_groups {
        for test in &group.tests {
            let content = opens(&test.token, &group.private);
            let expected = test.pt.as_ref().map(|hex| hex::decode(hex).unwrap());
            let accepted = content.is_some_and(|content| !test.valid() || Some(content) == expected);
            test.note(group, &JWE_OUTSIDE, accepted, &mut tally);
        }
    }
    tally.left_out = WYCHEPROOF_JWE - tally.cases;
    tally
}

/// The payload, if the token verifies with the key as the JWK states it.
fn verifies(token: &str, jwk: &Map<String, Value>) -> Option<Vec<u8>> {
    verify(token, &PublicKey::from_jwk(jwk).ok()?).ok()
}

/// The content, if the token opens with the key as the JWK states it.
fn opens(token: &str, jwk: &Map<String, Value>) -> Option<Vec<u8>> {
    let key_id = jwk.get("kid").and_then(Value::as_str).unwrap_or("k1");
    decrypt(token, &Recipient::from_jwk(key_id, jwk).ok()?).ok()
}

/// A token with its key, from a text or a program.
#[derive(Deserialize)]
struct Sample {
    name: String,
    kind: Kind,
    key: Map<String, Value>,
    token: String,
    /// What it says; without, it is not to be accepted.
    payload: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Jws,
    Jwe,
}

fn tokens_tally(json: &str) -> Tally {
    let mut tally = Tally::default();
    let samples: Vec<Sample> = serde_json::from_str(json).unwrap();
    for Sample { name, kind, key, token, payload } in samples {
        let found = match kind {
            Kind::Jws => verifies(&token, &key),
            Kind::Jwe => opens(&token, &key),
        };
        let accepted = match (&found, &payload) {
            (Some(found), Some(expected)) => found == expected.as_bytes(),
            (found, _) => found.is_some(),
        };
        tally.verdict(|| name, payload.is_some(), accepted);
    }
    tally
}

#[test]
fn signatures_verify_as_wycheproof_says() {
    JWS.assert_nothing_wrong();
}

#[test]
fn tokens_open_as_wycheproof_says() {
    JWE.assert_nothing_wrong();
}

#[test]
fn examples_of_the_rfcs_give_what_is_printed_there() {
    RFC.assert_nothing_wrong();
}

#[test]
fn tokens_of_other_implementations_give_what_was_put_into_them() {
    IMPLEMENTATIONS.assert_nothing_wrong();
}

#[test]
fn an_unsigned_token_verifies_with_no_key() {
    let set: Wycheproof = serde_json::from_str(include_str!("jose/wycheproof_jws.json")).unwrap();
    let unsigned: Vec<&Test> = set
        .test_groups
        .iter()
        .flat_map(|group| &group.tests)
        .filter(|test| test.comment == "algIsNone")
        .collect();
    assert_eq!(unsigned.len(), 4);
    for key in set.test_groups.iter().filter_map(|group| PublicKey::from_jwk(&group.public).ok()) {
        assert!(unsigned.iter().all(|test| verify(&test.token, &key).is_err()));
    }
}

#[test]
fn what_is_outside_the_profile_is_in_the_vectors() {
    for (file, outside) in [
        (include_str!("jose/wycheproof_jws.json"), JWS_OUTSIDE.as_slice()),
        (include_str!("jose/wycheproof_jwe.json"), JWE_OUTSIDE.as_slice()),
    ] {
        let set: Wycheproof = serde_json::from_str(file).unwrap();
        let ids: Vec<u64> =
            set.test_groups.iter().flat_map(|group| &group.tests).map(|test| test.tc_id).collect();
        assert!(outside.iter().all(|(id, why)| ids.contains(id) && !why.is_empty()));
    }
}
