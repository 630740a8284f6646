//! What deployments trust and hold: root bundles, revocation lists, partners, pinned keys.

use envelope::oid;
use forge::Kind;
use forge::base64url;
use forge::certificate::KEY_CERT_SIGN;
use forge::certificate::Profile;
use forge::crl;
use forge::crl::List;
use forge::der;
use serde_json::json;

use crate::world::{
    OTHER_POLICY, SHOP_POLICY, World, a_root, a_signer, at, days, flipped, json_to_toml, steady, stored,
    write,
};

impl World {
    pub(crate) fn bundles(&self) {
        let roots = |name: &str, text: &str| write(&self.folder.join(format!("roots/{name}.pem")), text);
        roots("vendor", &self.root.pem());
        let namesake = Self::development_root("Vendor root");
        roots("vendor-and-namesake", &format!("{}{}", self.root.pem(), namesake.pem()));
        let successor = a_root("Vendor root", Some(2)).self_signed(&stored("successor-root", Kind::P384));
        roots("vendor-and-successor", &format!("{}{}", self.root.pem(), successor.pem()));
        roots("successor-and-vendor", &format!("{}{}", successor.pem(), self.root.pem()));
        roots("self-signed-signer", &a_signer("Root").self_signed(&Self::passing()).pem());
        roots("intermediate-as-root", &self.intermediate.pem());
        let development = Self::development_root("Development root");
        roots("development", &development.pem());
        let silent = a_root("Root without cRLSign", Some(2)).usage(KEY_CERT_SIGN);
        roots("no-crl-sign", &silent.self_signed(&stored("silent-root", Kind::P256)).pem());
        let short_lived = Profile::authority("Short-lived root", at() - days(100)..at() + days(10), Some(2));
        roots("short-lived", &steady(short_lived).self_signed(&stored("short-lived-root", Kind::P256)).pem());

        let fresh = List::new(at() - days(7), at() + days(30));
        let by_root = fresh.sign(&self.root);
        let lists = |name: &str, lists: &[Vec<u8>]| {
            let text: String = lists.iter().map(|list| crl::pem(list)).collect();
            write(&self.folder.join(format!("lists/{name}.pem")), &text);
        };
        let with_root = |name: &str, list: Vec<u8>| lists(name, &[list, by_root.clone()]);
        let empty = || List::new(at() - days(7), at() + days(30));
        with_root("current", fresh.sign(&self.intermediate));
        with_root("signer-revoked", empty().revoking(&self.signer).sign(&self.intermediate));
        lists(
            "intermediate-revoked",
            &[fresh.sign(&self.intermediate), empty().revoking(&self.intermediate).sign(&self.root)],
        );
        let stale = List::new(at() - days(60), at() - days(30));
        with_root("stale", stale.sign(&self.intermediate));
        with_root("stale-and-revoked", stale.revoking(&self.signer).sign(&self.intermediate));
        let future = List::new(at() + days(1), at() + days(30));
        with_root("from-the-future", future.sign(&self.intermediate));
        // The attacker puts an older list, from before the revocation and still current, in front of the newer one.
        let older = List::new(at() - days(14), at() + days(30)).sign(&self.intermediate);
        let newer = empty().revoking(&self.signer).sign(&self.intermediate);
        lists("older-one-in-front", &[older, newer, by_root.clone()]);
        lists("root-only", std::slice::from_ref(&by_root));
        lists("intermediate-only", &[fresh.sign(&self.intermediate)]);
        with_root("by-a-stranger", fresh.sign(&self.foreign_root));
        with_root("by-a-stranger-under-our-name", fresh.sign_as("Vendor intermediate", &Self::passing()));
        with_root("by-the-signer-itself", fresh.sign(&self.signer));
        with_root("changed", flipped(&fresh.sign(&self.intermediate)));
        let silent = stored("silent-root", Kind::P256);
        lists("by-silent-root", &[fresh.sign_as("Root without cRLSign", &silent)]);

        let no_end = List { next_update: None, ..empty() };
        with_root("no-next-update", no_end.sign(&self.intermediate));
        let delta = empty().with("2.5.29.27", true, &der::integer(&[1]));
        with_root("delta", delta.sign(&self.intermediate));
        let scope = |content: &[&[u8]]| {
            empty().with("2.5.29.28", true, &der::sequence(content)).sign(&self.intermediate)
        };
        with_root("indirect", scope(&[&[0x84, 0x01, 0xff]]));
        with_root("only-user-certificates", scope(&[&[0x81, 0x01, 0xff]]));
        with_root("only-some-reasons", scope(&[&[0x83, 0x02, 0x01, 0x40]]));
        let unknown = empty().with("1.3.6.1.4.1.99999.9", true, &[0x05, 0x00]);
        with_root("unknown-critical-extension", unknown.sign(&self.intermediate));
        let mut of_others = empty().revoking(&self.signer);
        let issuer = der::sequence(&[&der::value(0xa4, &[&der::name("Somebody else")])]);
        of_others.revoked[0].1.push(der::extension("2.5.29.29", true, &issuer));
        with_root("entry-of-another-issuer", of_others.sign(&self.intermediate));
        lists("garbage", &[vec![0x30, 0x03, 0x02, 0x01, 0x01]]);
        lists("too-many", &vec![by_root.clone(); 17]);

        let file = json_to_toml(&[
            ("markers", json!([oid::PARTNER_CA_POLICY.to_string()])),
            ("allowed", json!([SHOP_POLICY])),
        ]);
        let products = format!("\n[products]\nshop = \"{SHOP_POLICY}\"\nchancery = \"{OTHER_POLICY}\"\n");
        write(&self.folder.join("partners.toml"), &format!("{file}{products}"));

        let pinned = stored("pinned", Kind::Ed25519).native().raw_public_key().expect("an Ed25519 key");
        let pinned = json!({ "key-1": { "kty": "OKP", "crv": "Ed25519", "x": base64url(pinned) } });
        write(&self.folder.join("keys/pinned.json"), &format!("{pinned:#}\n"));
    }
}
