//! The encryption around it.

use forge::Key;
use forge::Kind;
use forge::base64url;
use forge::jwe;
use forge::jwe::Jwe;
use forge::jws;
use forge::with_part;
use serde_json::Value;
use serde_json::json;

use crate::world::{World, case, claims, flipped, low_order, stored};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn encryption(&self) {
        let signed = self.signed();
        let decrypt = "the license could not be decrypted with the recipient's key";
        let other = stored("recipient-other", Kind::P256);
        case("jwe/wrong-recipient", "sealed to somebody else").refused(
            &jwe::seal(&signed, &other, "recipient-other"),
            "decrypt",
            "the license is sealed to the recipient key `recipient-other`, not to ours",
        );
        case("jwe/wrong-recipient-under-our-name", "sealed to somebody else under our key's name").refused(
            &jwe::seal(&signed, &other, "recipient-p256"),
            "decrypt",
            decrypt,
        );
        case("jwe/wrong-recipient-unnamed", "sealed to somebody else who is not named").refused(
            &Jwe::to(&other, None).seal(&signed),
            "decrypt",
            decrypt,
        );
        case("jwe/kid-traversal", "a recipient key id that climbs").refused(
            &jwe::seal(&signed, &self.recipient, "../../../../dev/null"),
            "decrypt",
            "the license is sealed to the recipient key `../../../../dev/null`, not to ours",
        );
        case("jwe/nested-twice", "a sealed license is sealed again").refused(
            &self.seal(self.seal(&signed)),
            "format",
            "the JWS has 5 dotted parts, not 3",
        );
        case("jwe/plain-claims", "claims that nobody signed").refused(
            &self.seal(claims().to_string()),
            "format",
            "the JWS has 6 dotted parts, not 3",
        );
        case("jwe/not-text", "the content is not text").refused(
            &self.seal([0xff, 0xfe, 0x00]),
            "format",
            "the JWS serialization is not properly encoded",
        );
        case("jwe/empty-content", "there is no content").refused(
            &self.seal(""),
            "format",
            "the JWS has 1 dotted parts, not 3",
        );
        case("jwe/only-signed", "a license that is signed and not sealed").refused(
            &signed,
            "format",
            "the JWE has 3 dotted parts, not 5",
        );
        let signed_twice =
            jws::sign(&jws::header(&self.chain()).to_string(), signed.as_bytes(), &self.signer.key);
        case("signature/signed-twice", "a signed license is signed again").refused(
            &self.seal(signed_twice),
            "claims",
            "the claims are not a JSON object with a schema",
        );
        let general = json!({ "protected": "e30", "recipients": [], "iv": "", "ciphertext": "", "tag": "" })
            .to_string();
        case("jwe/json-serialization", "the JSON serialization instead of the compact one").refused(
            &general,
            "format",
            "the JWE has 1 dotted parts, not 5",
        );
        case("jwe/empty", "an empty token").refused("", "format", "the JWE has 1 dotted parts, not 5");
        case("jwe/dots", "nothing but dots").refused("....", "header", "the JWE header is not a JSON object");

        let good = self.license(&self.chain());
        let part = |part: &str, bytes: usize, expected: usize| {
            format!("the JWE {part} has {bytes} bytes, not {expected}")
        };
        let mut jwe = Jwe::to(&self.recipient, Some("recipient-p256"));
        for (name, what, bytes) in [
            ("jwe/tag-of-1-byte", "an authentication tag of one byte", 1),
            ("jwe/tag-of-0-bytes", "no authentication tag", 0),
            ("jwe/tag-of-12-bytes", "an authentication tag of 96 bits", 12),
        ] {
            jwe.tag_bytes = bytes;
            case(name, what).refused(&jwe.seal(&signed), "format", &part("authentication tag", bytes, 16));
        }
        jwe.tag_bytes = 16;
        jwe.iv = vec![];
        case("jwe/iv-of-0-bytes", "no initialization vector").refused(
            &jwe.seal(&signed),
            "format",
            &part("initialization vector", 0, 12),
        );
        jwe.iv = vec![0; 16];
        case("jwe/iv-of-16-bytes", "an initialization vector of 128 bits").refused(
            &jwe.seal(&signed),
            "format",
            &part("initialization vector", 16, 12),
        );
        let short = Jwe::with_content_key(&self.recipient, Some("recipient-p256"), vec![7; 16]).seal(&signed);
        case("jwe/content-key-of-16-bytes", "a wrapped key of 128 bits under A256GCM").refused(
            &short,
            "format",
            &part("encrypted key", 24, 40),
        );
        let rsa = stored("recipient-rsa", Kind::Rsa(2048));
        for (name, what, bytes) in [
            ("jwe/rsa-content-key-of-16-bytes", "a key of 128 bits under A256GCM, by RSA", 16),
            ("jwe/rsa-content-key-of-24-bytes", "a key of 192 bits under A256GCM, by RSA", 24),
        ] {
            let short = Jwe::with_content_key(&rsa, Some("recipient-rsa"), vec![7; bytes]).seal(&signed);
            case(name, what).recipient("recipient-rsa").refused(&short, "decrypt", decrypt);
        }
        for (name, what, bytes) in [
            ("jwe/rsa-content-key-of-0-bytes", "an empty key, by RSA", 0),
            ("jwe/rsa-content-key-of-64-bytes", "a key of 512 bits, by RSA", 64),
        ] {
            let sealed = Jwe::with_content_key(&rsa, Some("recipient-rsa"), vec![7; bytes]);
            let other = Jwe { content_key: vec![7; 32], ..sealed };
            case(name, what).recipient("recipient-rsa").refused(&other.seal(&signed), "decrypt", decrypt);
        }
        let by_rsa = jwe::seal(&signed, &rsa, "recipient-rsa");
        case("jwe/rsa-changed-key", "a bit of the key that RSA encrypted is flipped")
            .recipient("recipient-rsa")
            .refused(&with_part(&by_rsa, 1, |key| flipped(&key)), "decrypt", decrypt);
        case("jwe/rsa-short-key", "what RSA encrypted is cut").recipient("recipient-rsa").refused(
            &with_part(&by_rsa, 1, |key| key[1..].to_vec()),
            "format",
            &part("encrypted key", 255, 256),
        );
        case("jwe/rsa-zero-key", "what RSA encrypted is zero").recipient("recipient-rsa").refused(
            &with_part(&by_rsa, 1, |key| vec![0; key.len()]),
            "decrypt",
            decrypt,
        );
        case("jwe/rsa-key-above-the-modulus", "what RSA encrypted is more than the modulus")
            .recipient("recipient-rsa")
            .refused(&with_part(&by_rsa, 1, |key| vec![0xff; key.len()]), "decrypt", decrypt);
        let to_rsa = Jwe::to(&rsa, None).seal(&signed);
        case("jwe/rsa-to-an-ec-key", "sealed by RSA to a deployment with an EC key").refused(
            &to_rsa,
            "header",
            "the JWE header has `alg` `RSA-OAEP-256`; accepted: `ECDH-ES+A256KW`",
        );
        case("jwe/ec-to-an-rsa-key", "sealed by ECDH to a deployment with an RSA key")
            .recipient("recipient-rsa")
            .refused(
                &Jwe::to(&self.recipient, None).seal(&signed),
                "header",
                "the JWE header has `alg` `ECDH-ES+A256KW`; accepted: `RSA-OAEP-256`",
            );

        for (name, what, member, value) in [
            ("jwe/alg-none", "no key management", "alg", "none"),
            ("jwe/alg-dir", "a key agreed upon beforehand", "alg", "dir"),
            ("jwe/alg-rsa1-5", "PKCS#1 v1.5", "alg", "RSA1_5"),
            ("jwe/alg-rsa-oaep", "OAEP with SHA-1", "alg", "RSA-OAEP"),
            ("jwe/alg-ecdh-es", "direct agreement", "alg", "ECDH-ES"),
            ("jwe/alg-a128kw", "a weaker wrapping key", "alg", "ECDH-ES+A128KW"),
            ("jwe/alg-case", "an algorithm in small letters", "alg", "ecdh-es+a256kw"),
            ("jwe/enc-a128gcm", "weaker content encryption", "enc", "A128GCM"),
            ("jwe/enc-cbc", "content encryption in CBC mode", "enc", "A256CBC-HS512"),
            ("jwe/enc-none", "no content encryption", "enc", "none"),
        ] {
            let mut jwe = Jwe::to(&self.recipient, Some("recipient-p256"));
            jwe.header[member] = json!(value);
            let accepted = if member == "alg" { "ECDH-ES+A256KW`, `RSA-OAEP-256" } else { "A256GCM" };
            case(name, what).refused(
                &jwe.seal(&signed),
                "header",
                &format!("the JWE header has `{member}` `{value}`; accepted: `{accepted}`"),
            );
        }
        let mut jwe = Jwe::to(&self.recipient, Some("recipient-p256"));
        jwe.header["alg"] = json!("PBES2-HS512+A256KW");
        jwe.header["p2s"] = json!("AAAAAAAAAAA");
        jwe.header["p2c"] = json!(2_147_483_647_u32);
        case("jwe/pbes2-huge-count", "two thousand million rounds of key derivation").refused(
            &jwe.seal(&signed),
            "header",
            "the JWE header parameter `p2s` is refused",
        );

        for (name, what, epk) in [
            (
                "jwe/epk-off-curve",
                "the ephemeral point is not on the curve (invalid curve attack)",
                json!({ "kty": "EC", "crv": "P-256", "x": base64url([1; 32]), "y": base64url([2; 32]) }),
            ),
            (
                "jwe/epk-zero",
                "the ephemeral point is zero",
                json!({ "kty": "EC", "crv": "P-256", "x": base64url([0; 32]), "y": base64url([0; 32]) }),
            ),
            (
                "jwe/epk-other-curve",
                "the ephemeral key is on P-384",
                json!({ "kty": "EC", "crv": "P-384", "x": base64url([1; 48]), "y": base64url([2; 48]) }),
            ),
            (
                "jwe/epk-other-type",
                "the ephemeral key is on X25519",
                jwe::public_jwk(&Key::new(Kind::X25519)),
            ),
            (
                "jwe/epk-rsa",
                "the ephemeral key is an RSA key",
                json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
            ),
            (
                "jwe/epk-short",
                "a coordinate of no bytes",
                json!({ "kty": "EC", "crv": "P-256", "x": "", "y": "" }),
            ),
            (
                "jwe/epk-long",
                "a coordinate of 10 kB",
                json!({ "kty": "EC", "crv": "P-256", "x": base64url(vec![1; 10_000]), "y": base64url([2; 32]) }),
            ),
            ("jwe/epk-text", "the ephemeral key is a text", json!("key")),
            ("jwe/epk-absent", "there is no ephemeral key", Value::Null),
        ] {
            let mut jwe = Jwe::to(&self.recipient, Some("recipient-p256"));
            jwe.header["epk"] = epk;
            case(name, what).refused(&jwe.seal(&signed), "decrypt", decrypt);
        }
        // Points of order 1, 2, 4 and 8 (RFC 7748, section 6.1): whoever knows none of the keys knows the secret, zero.
        for (name, what, point) in [
            ("jwe/x25519-point-0", "an X25519 point of low order: 0", low_order("00")),
            ("jwe/x25519-point-1", "an X25519 point of low order: 1", low_order("01")),
            (
                "jwe/x25519-point-order-8",
                "an X25519 point of order 8",
                low_order("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            ),
            (
                "jwe/x25519-point-order-8-other",
                "another X25519 point of order 8",
                low_order("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            ),
            (
                "jwe/x25519-point-p",
                "an X25519 point of low order: p, which is 0",
                low_order("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            ),
        ] {
            let token = Jwe::with_zero_secret("recipient-x25519", point).seal(&signed);
            case(name, what).recipient("recipient-x25519").refused(&token, "decrypt", decrypt);
        }

        for (name, what, index) in [
            ("jwe/changed-key", "a bit of the wrapped key is flipped", 1),
            ("jwe/changed-iv", "a bit of the initialization vector is flipped", 2),
            ("jwe/changed-content", "a bit of the content is flipped", 3),
            ("jwe/changed-tag", "a bit of the tag is flipped", 4),
        ] {
            case(name, what).refused(&with_part(&good, index, |part| flipped(&part)), "decrypt", decrypt);
        }
        let spaced = with_part(&good, 0, |header| [header, b" ".to_vec()].concat());
        case("jwe/changed-header", "a blank is added to the header").refused(&spaced, "decrypt", decrypt);
        case("jwe/padded", "base64 with padding").refused(
            &format!("{good}=="),
            "format",
            "the JWE authentication tag is not properly encoded",
        );
        let dotless = good.replacen('.', "\u{2024}", 1);
        case("jwe/look-alike-dot", "a character that looks like a dot").refused(
            &dotless,
            "format",
            "the JWE has 4 dotted parts, not 5",
        );
        let lined = format!("{}\n{}", &good[..100], &good[100..]);
        case("jwe/line-break", "a line break within").refused(
            &lined,
            "format",
            "the JWE header is not properly encoded",
        );
        case("jwe/nul", "NUL follows the token").refused(
            &format!("{good}\u{0}"),
            "format",
            "the JWE authentication tag is not properly encoded",
        );
        case("jwe/truncated", "the token, cut at every byte").derived(
            "valid/p256-es256",
            "every-prefix",
            "format",
        );
    }
}
