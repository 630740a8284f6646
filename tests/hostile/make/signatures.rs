//! Signatures and the keys that make them.

use forge::Key;
use forge::Kind;
use forge::base64url;
use forge::jws;
use forge::with_part;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::json;

use crate::world::{World, a_signer, case, claims, flipped, hex, signed_by, stored};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn signatures(&self) {
        let signature = "the signature does not match the signer's key";
        let payload = claims().to_string();
        let usual = jws::header(&self.chain());
        let with_alg = |alg: &str| {
            let mut header = usual.clone();
            header["alg"] = json!(alg);
            header.to_string()
        };
        let accepted = |alg: &str| {
            format!("the JWS header has `alg` `{alg}`; accepted: `ES256`, `ES384`, `PS256`, `EdDSA`")
        };
        let unsigned = format!("{}.{}.", base64url(with_alg("none")), base64url(&payload));
        case("signature/alg-none", "nobody signed").refused(
            &self.seal(unsigned),
            "header",
            &accepted("none"),
        );
        let unsigned = format!("{}.{}.", base64url(with_alg("nOnE")), base64url(&payload));
        case("signature/alg-none-in-other-letters", "nobody signed, spelled otherwise").refused(
            &self.seal(unsigned),
            "header",
            &accepted("nOnE"),
        );
        let signed = format!("{}.{}", base64url(with_alg("HS256")), base64url(&payload));
        let secret = PKey::hmac(&self.signer.key.public_der()).expect("a secret");
        let mac = Signer::new(MessageDigest::sha256(), &secret)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(signed.as_bytes()));
        let forged = format!("{signed}.{}", base64url(mac.expect("HMAC")));
        case("signature/alg-hs256", "the signer's public key serves as an HMAC secret").refused(
            &self.seal(forged),
            "header",
            &accepted("HS256"),
        );
        case("signature/alg-swap", "an EC key under the name of another algorithm").refused(
            &self.under_header(&with_alg("EdDSA")),
            "signature",
            signature,
        );
        case("signature/alg-swap-rsa", "an EC key under the name of RSA").refused(
            &self.under_header(&with_alg("PS256")),
            "signature",
            signature,
        );
        for (name, what, alg) in [
            ("signature/alg-rs256", "PKCS#1 v1.5", "RS256"),
            ("signature/alg-es512", "P-521", "ES512"),
            ("signature/alg-es256k", "secp256k1", "ES256K"),
            ("signature/alg-ps512", "PSS with SHA-512", "PS512"),
            ("signature/alg-ed25519", "the newer name of EdDSA (RFC 9864)", "Ed25519"),
            ("signature/alg-empty", "an algorithm without a name", ""),
        ] {
            case(name, what).refused(&self.under_header(&with_alg(alg)), "header", &accepted(alg));
        }
        let p384 = a_signer("Signer").issue(&Key::new(Kind::P384), &self.intermediate);
        let mut header = jws::header(&[&p384, &self.intermediate]);
        header["alg"] = json!("ES256");
        case("signature/p384-under-es256", "a key on P-384 under ES256").refused(
            &self.seal(jws::sign(&header.to_string(), payload.as_bytes(), &p384.key)),
            "signature",
            signature,
        );
        case("signature/p256-under-es384", "a key on P-256 under ES384").refused(
            &self.under_header(&with_alg("ES384")),
            "signature",
            signature,
        );
        let rsa = a_signer("Signer").issue(&stored("signer-rsa", Kind::Rsa(2048)), &self.intermediate);
        let header = jws::header(&[&rsa, &self.intermediate]).to_string();
        let signed = format!("{}.{}", base64url(header), base64url(&payload));
        let pkcs1 = rsa.key.sign_x509(signed.as_bytes()).0;
        case("signature/pkcs1-under-ps256", "a PKCS#1 v1.5 signature under PS256").refused(
            &self.seal(format!("{signed}.{}", base64url(pkcs1))),
            "signature",
            signature,
        );

        let good = self.signed();
        let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        for (name, what, forged) in [
            ("signature/psychic", "r and s are zero", vec![0; 64]),
            (
                "signature/psychic-order",
                "r and s are the order of the curve",
                [order.clone(), order.clone()].concat(),
            ),
            ("signature/r-zero", "r is zero, s is one", [vec![0; 63], vec![1]].concat()),
            ("signature/empty", "no signature", vec![]),
            ("signature/short", "half a signature", vec![1; 32]),
            ("signature/long", "a byte more than a signature has", vec![1; 65]),
        ] {
            case(name, what).refused(&self.seal(with_part(&good, 2, |_| forged)), "signature", signature);
        }
        let (signed, _) = good.rsplit_once('.').expect("a JWS");
        let der = self.signer.key.sign_ecdsa_der(signed.as_bytes());
        case("signature/der", "the signature as X.509 has it").refused(
            &self.seal(format!("{signed}.{}", base64url(der))),
            "signature",
            signature,
        );
        let longer =
            with_part(&good, 2, |raw| [vec![0], raw[..32].to_vec(), vec![0], raw[32..].to_vec()].concat());
        case("signature/padded-numbers", "r and s with a leading zero each").refused(
            &self.seal(longer),
            "signature",
            signature,
        );
        for (name, what, index) in [
            ("signature/changed-payload", "a bit of the claims is flipped", 1),
            ("signature/changed-signature", "a bit of the signature is flipped", 2),
        ] {
            case(name, what).refused(
                &self.seal(with_part(&good, index, |part| flipped(&part))),
                "signature",
                signature,
            );
        }
        case("signature/by-the-intermediate", "the intermediate signs in the signer's name").refused(
            &self.seal(jws::sign(&usual.to_string(), payload.as_bytes(), &self.intermediate.key)),
            "signature",
            signature,
        );
        let other = self.seal(signed_by(&self.chain(), &json!({})));
        case("signature/of-other-claims", "the signer signed something that is not a license").refused(
            &other,
            "claims",
            "the claims are not a JSON object with a schema",
        );
        case("signature/truncated", "the signed license inside, cut at every byte and sealed again").derived(
            "valid/short",
            "every-sealed-prefix",
            "any",
        );
        case(
            "signature/changed-anywhere",
            "every third character of the signed license replaced by another, in its turn",
        )
        .derived("valid/short", "every-sealed-character", "any");
    }
}
