//! The header of the signature.

use forge::jwe;
use forge::jwe::Jwe;
use forge::jws;
use serde_json::Value;
use serde_json::json;

use crate::world::{World, case};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn headers(&self) {
        let x5c = json!([self.signer.x5c(), self.intermediate.x5c()]).to_string();
        let jws = "the JWS header is not a JSON object";
        for (name, what, header) in [
            (
                "header/duplicate-alg",
                "`alg` stands twice",
                format!(r#"{{"alg":"none","alg":"ES256","x5c":{x5c}}}"#),
            ),
            (
                "header/duplicate-alg-escaped",
                "`alg` stands twice, once in escapes",
                format!(r#"{{"\u0061lg":"none","alg":"ES256","x5c":{x5c}}}"#),
            ),
            (
                "header/duplicate-x5c",
                "`x5c` stands twice",
                format!(r#"{{"alg":"ES256","x5c":[],"x5c":{x5c}}}"#),
            ),
            ("header/array", "the header is a list", "[1]".to_owned()),
            ("header/empty", "there is no header", String::new()),
            (
                "header/trailing-text",
                "text follows the header",
                format!(r#"{{"alg":"ES256","x5c":{x5c}}} {{}}"#),
            ),
            (
                "header/byte-order-mark",
                "the header begins with a byte order mark",
                format!("\u{feff}{{\"alg\":\"ES256\",\"x5c\":{x5c}}}"),
            ),
            (
                "header/deep",
                "the header is nested ten thousand deep",
                format!(r#"{{"alg":"ES256","typ":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
            ),
        ] {
            case(name, what).refused(&self.under_header(&header), "header", jws);
        }
        let own = jwe::public_jwk(&Self::passing());
        for (name, what, member, value) in [
            ("header/jws-crit", "an extension that must be understood", "crit", json!(["exp"])),
            ("header/jws-crit-empty", "an empty list of such extensions", "crit", json!([])),
            ("header/b64-false", "the payload is not encoded (RFC 7797)", "b64", json!(false)),
            ("header/jwk", "the attacker's own key", "jwk", own),
            ("header/jku", "where the attacker's keys are", "jku", json!("https://attacker.example/keys")),
            (
                "header/x5u",
                "where the attacker's certificates are",
                "x5u",
                json!("https://attacker.example/chain"),
            ),
            ("header/x5t", "the fingerprint of another certificate", "x5t#S256", json!("AAAA")),
            ("header/kid-traversal", "a key id that climbs", "kid", json!("../../../../dev/null")),
            ("header/kid-injection", "a key id that is SQL", "kid", json!("x' UNION SELECT 'key")),
            ("header/jws-zip", "a signed text that says it is compressed", "zip", json!("DEF")),
            ("header/proto", "a parameter named `__proto__`", "__proto__", json!({ "alg": "none" })),
            ("header/nul", "a parameter whose name ends in NUL", "alg\u{0}", json!("none")),
        ] {
            let mut header = jws::header(&self.chain());
            header[member] = value;
            let error = format!("the JWS header parameter `{}` is refused", member.escape_debug());
            case(name, what).refused(&self.under_header(&header.to_string()), "header", &error);
        }
        for (name, what, x5c) in [
            ("header/x5c-absent", "there is no chain", Value::Null),
            ("header/x5c-text", "the chain is a text", json!(self.signer.x5c())),
            ("header/x5c-numbers", "the chain is of numbers", json!([1])),
        ] {
            let header = json!({ "alg": "ES256", "x5c": x5c }).to_string();
            case(name, what).refused(
                &self.under_header(&header),
                "header",
                "the JWS header lacks a proper `x5c`",
            );
        }

        for (name, what, member, value) in [
            (
                "header/jwe-crit",
                "an extension that must be understood, on the outside",
                "crit",
                json!(["exp"]),
            ),
            (
                "header/jwe-jku",
                "where the attacker's keys are, on the outside",
                "jku",
                json!("https://attacker.example/keys"),
            ),
            (
                "header/jwe-jwk",
                "the attacker's own key, on the outside",
                "jwk",
                json!({ "kty": "oct", "k": "AAAA" }),
            ),
            (
                "header/jwe-x5u",
                "where the attacker's certificates are, on the outside",
                "x5u",
                json!("https://attacker.example/chain"),
            ),
            ("header/jwe-apu", "an agreement with party information", "apu", json!("QWxpY2U")),
        ] {
            let mut jwe = Jwe::to(&self.recipient, Some("recipient-p256"));
            jwe.header[member] = value;
            case(name, what).refused(
                &jwe.seal(self.signed()),
                "header",
                &format!("the JWE header parameter `{member}` is refused"),
            );
        }
        let key = josekit::jwk::Jwk::from_bytes(jwe::public_jwk(&self.recipient).to_string()).expect("a JWK");
        let encrypter = josekit::jwe::ECDH_ES_A256KW.encrypter_from_jwk(&key).expect("an encrypter");
        let mut header = josekit::jwe::JweHeader::new();
        header.set_content_encryption("A256GCM");
        header.set_compression("DEF");
        let bomb = josekit::jwe::serialize_compact(&vec![b'0'; 20 * 1024 * 1024], &header, &encrypter)
            .expect("a bomb");
        case("header/zip", "a token of 27 kB that inflates to 20 MB").refused(
            &bomb,
            "header",
            "the JWE header parameter `zip` is refused",
        );
        for (name, what, header) in [
            (
                "header/jwe-duplicate-alg",
                "`alg` stands twice on the outside",
                r#"{"alg":"dir","alg":"ECDH-ES+A256KW","enc":"A256GCM"}"#,
            ),
            (
                "header/jwe-duplicate-enc",
                "`enc` stands twice on the outside",
                r#"{"alg":"ECDH-ES+A256KW","enc":"A128GCM","enc":"A256GCM"}"#,
            ),
        ] {
            let mut jwe = Jwe::to(&self.recipient, None);
            jwe.header_text = Some(header.to_owned());
            case(name, what).refused(
                &jwe.seal(self.signed()),
                "header",
                "the JWE header is not a JSON object",
            );
        }
        let mut jwe = Jwe::to(&self.recipient, None);
        jwe.header["kid"] = json!(7);
        case("header/jwe-kid-number", "a key id that is a number").refused(
            &jwe.seal(self.signed()),
            "header",
            "the JWE header lacks a proper `kid`",
        );
    }
}
