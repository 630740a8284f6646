use envelope::{PinnedKeys, Recipient, RecipientPublic, jose::PublicKey, jose::SignatureAlgorithm};
use serde_json::{Map, Value};

use crate::{
    split,
    world::{WORLD, before_signature, jws_of},
};

pub(crate) fn judge(input: &[u8]) {
    let Some((mode, rest)) = split(input) else { return };
    match mode {
        b'k' => {
            let Ok(token) = std::str::from_utf8(rest) else { return };
            if WORLD.open_key(token).is_ok() {
                assert!(WORLD.signed.contains(&before_signature(token)), "only what was signed opens");
            }
        }
        b'h' => {
            let token = jws_of(rest, &WORLD.claims, &WORLD.pinned_key);
            if let Ok(license) = WORLD.open_key(&token) {
                let header: Value = serde_json::from_slice(rest).expect("an accepted header is JSON");
                assert_eq!((&header["alg"], &header["kid"]), (&"EdDSA".into(), &"key-1".into()));
                let claims: Value = serde_json::from_slice(&WORLD.claims).expect("claims");
                assert_eq!(serde_json::to_value(license.claims()).expect("claims"), claims);
            }
        }
        b'j' => {
            let Ok(jwk) = serde_json::from_slice::<Map<String, Value>>(rest) else { return };
            let is_private = jwk.contains_key("d");
            if let Ok(key) = PublicKey::from_jwk(&jwk) {
                signs_nothing(&key);
            }
            let pinned = PinnedKeys::new([("key", &jwk)]);
            assert!(!(is_private && pinned.is_ok()), "a private key is not pinned");
            let _ = Recipient::from_jwk("key", &jwk);
            if let Ok(recipient) = RecipientPublic::try_from(jwk) {
                assert!(!is_private, "a private key is nobody's public half");
                let jwk: Map<String, Value> = recipient.into();
                assert!(RecipientPublic::try_from(jwk).is_ok(), "what is written can be read");
            }
        }
        b's' => {
            if let Ok(key) = PublicKey::from_spki_der(rest) {
                signs_nothing(&key);
            }
        }
        _ => {}
    }
}

/// A key that nobody holds the private half of verifies nothing.
fn signs_nothing(key: &PublicKey) {
    for algorithm in SignatureAlgorithm::ALL {
        for length in [0, 64, 96, 256] {
            assert!(!key.verifies(algorithm, b"message", &vec![0; length]), "zeros are no signature");
        }
    }
}
