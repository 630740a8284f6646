//! Licenses that must open.

use forge::Kind;
use forge::crl::List;
use forge::jwe;
use forge::jwe::Jwe;
use serde_json::json;

use crate::world::{World, a_signer, at, case, claims, days, key_token, signed_by, stored};

impl World {
    pub(crate) fn valid(&self) {
        case("valid/p256-es256", "a good license, with revocation lists")
            .lists("current")
            .opens(&self.license(&self.chain()));
        for (name, what, recipient, recipient_kind, signer, signer_kind) in [
            (
                "valid/x25519-eddsa",
                "X25519 and Ed25519",
                "recipient-x25519",
                Kind::X25519,
                "signer-ed25519",
                Kind::Ed25519,
            ),
            (
                "valid/rsa-ps256",
                "RSA both ways",
                "recipient-rsa",
                Kind::Rsa(2048),
                "signer-rsa",
                Kind::Rsa(2048),
            ),
            (
                "valid/p256-es384",
                "a signer on P-384",
                "recipient-p256",
                Kind::P256,
                "signer-p384",
                Kind::P384,
            ),
        ] {
            let signer = a_signer(name).issue(&stored(signer, signer_kind), &self.intermediate);
            let jws = signed_by(&[&signer, &self.intermediate], &claims());
            let token = jwe::seal(jws, &stored(recipient, recipient_kind), recipient);
            case(name, what).recipient(recipient).opens(&token);
        }
        for (name, roots) in [
            ("valid/root-and-its-successor", "vendor-and-successor"),
            ("valid/successor-and-its-root", "successor-and-vendor"),
        ] {
            let what = "two roots have one name, for a key is being replaced by another";
            case(name, what).roots(roots).lists("current").opens(&self.license(&self.chain()));
        }
        let short = a_signer("Signer").issue(&stored("signer-ed25519", Kind::Ed25519), &self.root);
        let short = signed_by(&[&short], &claims());
        let short = jwe::seal(short, &stored("recipient-x25519", Kind::X25519), "recipient-x25519");
        case("valid/short", "a short chain, of which many others are derived")
            .recipient("recipient-x25519")
            .opens(&short);
        let with_root = [&self.signer, &self.intermediate, &self.root];
        case("valid/root-sent-along", "x5c may end in the root").opens(&self.license(&with_root));
        let no_kid = Jwe::to(&self.recipient, None).seal(self.signed());
        case("valid/no-kid", "a license that does not name the recipient's key").opens(&no_kid);
        let shop = self.partner_license(|grant| {
            *grant = json!({ "products": { "shop": { "edition": "pro" } }, "features": {}, "quotas": {},
                             "commands": { "allow": ["shop.**"], "deny": ["**"] } });
        });
        case("valid/partner-own-product", "a partner signs for its own product").partners().opens(&shop);
        let list = List::new(at() - days(1), at() + days(1)).sign(&self.intermediate);
        let stapled = self.claiming(|claims| {
            claims["revocation"] = json!({ "crls": [openssl::base64::encode_block(&list)] });
        });
        case("valid/stapled-list", "a stapled list that names nobody").opens(&stapled);
        case("valid/key-format", "a license in key format")
            .key_format()
            .opens(&key_token(&json!({ "alg": "EdDSA", "kid": "key-1" })));
        case("valid/development-31-days", "a development license of 31 days")
            .roots("development")
            .opens(&self.development(31, 0));
        let proto =
            self.claiming(|claims| claims["grant"]["products"]["__proto__"] = json!({ "edition": "x" }));
        case("valid/proto-product", "a product named `__proto__` is one that nobody offers").opens(&proto);
        let later = self.claiming(|claims| claims["statusList"] = json!({ "index": 7 }));
        case("valid/unknown-claim", "claims of a later build are kept").opens(&later);
    }
}
