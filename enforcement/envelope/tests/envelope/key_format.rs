//! Licenses in key format: a signature by a pinned key, and claims.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use chancery_envelope::{EnvelopeError, PinnedKeyError, PinnedKeys, Stage, open_key};
use openssl::pkey::{PKey, Private};
use serde_json::{Map, Value, json};

use crate::support::{KeyKind, World, claims, jws, with_part};

fn jwk(key: &PKey<Private>) -> Map<String, Value> {
    let x = Base64UrlUnpadded::encode_string(&key.raw_public_key().unwrap());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x }).as_object().unwrap().clone()
}

fn token(kid: &str, key: &PKey<Private>) -> String {
    jws(&json!({ "alg": "EdDSA", "kid": kid }), &claims(), key)
}

#[test]
fn a_license_opens_under_the_key_it_names_and_keys_rotate() {
    let (old, new) = (KeyKind::Ed25519.generate(), KeyKind::Ed25519.generate());
    let (old_jwk, new_jwk) = (jwk(&old), jwk(&new));
    let both = PinnedKeys::new([("2025", &old_jwk), ("2026", &new_jwk)]).unwrap();
    let later = PinnedKeys::new([("2026", &new_jwk)]).unwrap();

    assert_eq!(open_key(&token("2025", &old), &both).unwrap().claims().license_id, "L-2026-1");
    assert!(open_key(&token("2026", &new), &both).is_ok());
    assert!(open_key(&token("2026", &new), &later).is_ok());
    let refusal = open_key(&token("2025", &old), &later).unwrap_err();
    assert_eq!(refusal, EnvelopeError::UnknownKey { found: "2025".into() });
    assert_eq!(open_key(&token("2026", &new), &PinnedKeys::none()).unwrap_err().stage(), Stage::Signature);
}

#[test]
fn a_key_signs_under_its_own_name_only() {
    let (old, new) = (KeyKind::Ed25519.generate(), KeyKind::Ed25519.generate());
    let (old_jwk, new_jwk) = (jwk(&old), jwk(&new));
    let keys = PinnedKeys::new([("2025", &old_jwk), ("2026", &new_jwk)]).unwrap();
    assert_eq!(open_key(&token("2026", &old), &keys).unwrap_err(), EnvelopeError::Signature);
    let changed = with_part(&token("2026", &new), 1, |claims| {
        String::from_utf8(claims).unwrap().replace("acme", "evil").into_bytes()
    });
    assert_eq!(open_key(&changed, &keys).unwrap_err(), EnvelopeError::Signature);
}

#[test]
fn only_eddsa_with_a_name_is_accepted() {
    let key = KeyKind::Ed25519.generate();
    let pinned = jwk(&key);
    let keys = PinnedKeys::new([("k", &pinned)]).unwrap();
    let refusal = |header: Value| open_key(&jws(&header, &claims(), &key), &keys).unwrap_err();
    for algorithm in ["none", "HS256", "ES256", "Ed25519", "eddsa"] {
        let refusal = refusal(json!({ "alg": algorithm, "kid": "k" }));
        assert!(matches!(refusal, EnvelopeError::Algorithm { .. }), "{refusal}");
    }
    assert!(matches!(refusal(json!({ "alg": "EdDSA" })), EnvelopeError::HeaderLacks { name: "kid", .. }));
    for name in ["x5c", "jwk", "jku", "x5u", "crit", "b64", "zip"] {
        let refusal = refusal(json!({ "alg": "EdDSA", "kid": "k", name: true }));
        assert!(matches!(refusal, EnvelopeError::HeaderParameter { .. }), "{refusal}");
    }
    let twice = jws(&json!({ "alg": "EdDSA", "kid": "k" }), &claims(), &key);
    let twice = with_part(&twice, 0, |_| br#"{"alg":"none","alg":"EdDSA","kid":"k"}"#.to_vec());
    assert!(matches!(open_key(&twice, &keys).unwrap_err(), EnvelopeError::Header { .. }));
}

#[test]
fn a_sealed_license_is_not_one_in_key_format() {
    let world = World::new();
    let refusal = open_key(&world.token(&claims()), &PinnedKeys::none()).unwrap_err();
    assert_eq!(refusal.stage(), Stage::Format);
}

#[test]
fn only_public_ed25519_keys_of_different_names_are_pinned() {
    let key = KeyKind::Ed25519.generate();
    let public = jwk(&key);
    assert_eq!(
        PinnedKeys::new([("k", &public), ("k", &public)]).unwrap_err(),
        PinnedKeyError::Twice { kid: "k".into() }
    );
    let with = |name: &str, value: Value| {
        let mut changed = public.clone();
        changed.insert(name.to_owned(), value);
        PinnedKeys::new([("k", &changed)]).map(drop)
    };
    let refused = Err(PinnedKeyError::NotEd25519 { kid: "k".into() });
    for (name, value) in
        [("crv", json!("X25519")), ("d", json!("AAAA")), ("x", json!("AAAA")), ("kty", json!("EC"))]
    {
        assert_eq!(with(name, value), refused, "{name}");
    }
}
