//! Licenses in key format.

use forge::Key;
use forge::Kind;
use forge::jws;
use forge::with_part;
use serde_json::json;

use crate::world::{World, case, claims, flipped, key_token, plus_order, stored};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn key_format(&self) {
        let good = key_token(&json!({ "alg": "EdDSA", "kid": "key-1" }));
        let signature = "the signature does not match the signer's key";
        let keyed = |name, what| case(name, what).key_format();
        keyed("key/unknown-kid", "a key that is not pinned").refused(
            &key_token(&json!({ "alg": "EdDSA", "kid": "key-2" })),
            "signature",
            "the license is signed with the key `key-2`, which this build does not know",
        );
        keyed("key/kid-traversal", "a key id that climbs").refused(
            &key_token(&json!({ "alg": "EdDSA", "kid": "../key-1" })),
            "signature",
            "the license is signed with the key `../key-1`, which this build does not know",
        );
        keyed("key/no-kid", "no key id").refused(
            &key_token(&json!({ "alg": "EdDSA" })),
            "header",
            "the JWS header lacks a proper `kid`",
        );
        for (name, what, alg) in [
            ("key/alg-none", "nobody signed", "none"),
            ("key/alg-hs256", "an HMAC", "HS256"),
            ("key/alg-es256", "an algorithm that pinned keys do not have", "ES256"),
            ("key/alg-ed25519", "the newer name of EdDSA", "Ed25519"),
        ] {
            keyed(name, what).refused(
                &key_token(&json!({ "alg": alg, "kid": "key-1" })),
                "header",
                &format!("the JWS header has `alg` `{alg}`; accepted: `EdDSA`"),
            );
        }
        for (name, what, member, value) in [
            (
                "key/jwk",
                "the attacker's own key",
                "jwk",
                json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
            ),
            ("key/x5c", "a chain, which the key format has not", "x5c", json!([self.signer.x5c()])),
            ("key/crit", "an extension that must be understood", "crit", json!(["exp"])),
            ("key/b64-false", "the payload is not encoded", "b64", json!(false)),
        ] {
            let mut header = json!({ "alg": "EdDSA", "kid": "key-1" });
            header[member] = value;
            keyed(name, what).refused(
                &key_token(&header),
                "header",
                &format!("the JWS header parameter `{member}` is refused"),
            );
        }
        let twice = jws::sign(
            r#"{"alg":"EdDSA","kid":"key-2","kid":"key-1"}"#,
            claims().to_string().as_bytes(),
            &stored("pinned", Kind::Ed25519),
        );
        keyed("key/duplicate-kid", "the key id stands twice").refused(
            &twice,
            "header",
            "the JWS header is not a JSON object",
        );
        let other = jws::sign(
            r#"{"alg":"EdDSA","kid":"key-1"}"#,
            claims().to_string().as_bytes(),
            &Key::new(Kind::Ed25519),
        );
        keyed("key/other-key", "somebody else's signature").refused(&other, "signature", signature);
        for (name, what, index) in [
            ("key/changed-payload", "a bit of the claims is flipped", 1),
            ("key/changed-signature", "a bit of the signature is flipped", 2),
        ] {
            keyed(name, what).refused(
                &with_part(&good, index, |part| flipped(&part)),
                "signature",
                signature,
            );
        }
        keyed("key/empty-signature", "no signature").refused(
            &with_part(&good, 2, |_| vec![]),
            "signature",
            signature,
        );
        // S + L verifies where nobody compares S with the order L (RFC 8032, 5.1.7).
        keyed("key/malleable-signature", "the second number of the signature is above the order").refused(
            &with_part(&good, 2, |signature| {
                [signature[..32].to_vec(), plus_order(&signature[32..])].concat()
            }),
            "signature",
            signature,
        );
        // R = A = the neutral point and S = 0 verify under a key of low order, which ours is not.
        let neutral = [vec![1], vec![0; 63]].concat();
        keyed("key/neutral-signature", "a signature that a key of low order would verify").refused(
            &with_part(&good, 2, |_| neutral),
            "signature",
            signature,
        );
        keyed("key/sealed", "a sealed license where a key is due").refused(
            &self.license(&self.chain()),
            "format",
            "the JWS has 5 dotted parts, not 3",
        );
        keyed("key/chained", "the signed license of the other format").refused(
            &self.signed(),
            "header",
            "the JWS header parameter `x5c` is refused",
        );
        case("key/as-sealed", "a license in key format where a sealed one is due").refused(
            &good,
            "format",
            "the JWE has 3 dotted parts, not 5",
        );
        case("key/inside-a-seal", "a license in key format, sealed").refused(
            &self.seal(&good),
            "header",
            "the JWS header parameter `kid` is refused",
        );
        keyed("key/truncated", "the token, cut at every byte").derived(
            "valid/key-format",
            "every-prefix",
            "any",
        );
    }
}
