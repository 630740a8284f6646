//! Revocation.

use forge::Kind;
use forge::certificate::KEY_CERT_SIGN;
use forge::crl::List;
use serde_json::json;

use crate::world::{World, a_root, a_signer, at, case, days, stored};

impl World {
    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    pub(crate) fn revocation(&self) {
        let good = || self.license(&self.chain());
        let revoked = |position: usize| format!("certificate {position} is revoked");
        let none =
            |position: usize| format!("there is no revocation list by the issuer of certificate {position}");
        let due = |at: &str| format!("the revocation list for certificate 0 was due to be replaced at {at}");
        for (name, what, lists, error) in [
            ("revocation/revoked-signer", "the signer is revoked", "signer-revoked", revoked(0)),
            (
                "revocation/revoked-intermediate",
                "the intermediate is revoked",
                "intermediate-revoked",
                revoked(1),
            ),
            (
                "revocation/stale-list",
                "the intermediate's list is a month overdue",
                "stale",
                due("2026-05-02T00:00:00Z"),
            ),
            (
                "revocation/revoked-by-a-stale-list",
                "a list that is overdue names the signer",
                "stale-and-revoked",
                revoked(0),
            ),
            (
                "revocation/list-from-the-future",
                "a list that is not valid yet",
                "from-the-future",
                due("2026-07-01T00:00:00Z"),
            ),
            (
                "revocation/older-list-in-front",
                "an older list, still current, stands before the one that revokes",
                "older-one-in-front",
                revoked(0),
            ),
            ("revocation/no-list-of-the-intermediate", "there is only the root's list", "root-only", none(0)),
            (
                "revocation/no-list-of-the-root",
                "there is only the intermediate's list",
                "intermediate-only",
                none(1),
            ),
            ("revocation/list-by-a-stranger", "the list is a foreign root's", "by-a-stranger", none(0)),
            (
                "revocation/list-by-a-stranger-under-our-name",
                "the list names our intermediate, and somebody else signed it",
                "by-a-stranger-under-our-name",
                none(0),
            ),
            (
                "revocation/list-by-the-signer",
                "the signer signs its own list",
                "by-the-signer-itself",
                none(0),
            ),
            ("revocation/changed-list", "a bit of the list's signature is flipped", "changed", none(0)),
        ] {
            case(name, what).lists(lists).refused(&good(), "revocation", &error);
        }
        let silent = a_root("Root without cRLSign", Some(2))
            .usage(KEY_CERT_SIGN)
            .self_signed(&stored("silent-root", Kind::P256));
        let signer = a_signer("Signer").issue(&Self::passing(), &silent);
        case("revocation/list-by-a-key-that-may-not", "the issuer may not sign lists")
            .roots("no-crl-sign")
            .lists("by-silent-root")
            .refused(&self.license(&[&signer]), "revocation", &none(0));

        let list = |problem: &str| format!("list 0 of the CRL bundle: {problem}");
        for (name, what, lists, error) in [
            (
                "revocation/no-next-update",
                "a list that is never due",
                "no-next-update",
                list("not a well-formed certificate revocation list"),
            ),
            (
                "revocation/delta-list",
                "a list of changes",
                "delta",
                list("a delta list; only complete ones are accepted"),
            ),
            (
                "revocation/indirect-list",
                "a list of other issuers' certificates",
                "indirect",
                list("an indirect list; only lists by the issuer itself are accepted"),
            ),
            (
                "revocation/entry-of-another-issuer",
                "an entry of another issuer's certificate",
                "entry-of-another-issuer",
                list("an indirect list; only lists by the issuer itself are accepted"),
            ),
            (
                "revocation/partial-list",
                "a list of some certificates only",
                "only-user-certificates",
                list("a partial list; only complete ones are accepted"),
            ),
            (
                "revocation/some-reasons",
                "a list of some reasons only",
                "only-some-reasons",
                list("a partial list; only complete ones are accepted"),
            ),
            (
                "revocation/unknown-critical-extension",
                "a list with a critical extension that nobody knows",
                "unknown-critical-extension",
                list("a list with the critical extension `1.3.6.1.4.1.99999.9`"),
            ),
            (
                "revocation/garbage",
                "what should be a list is none",
                "garbage",
                list("not a well-formed certificate revocation list"),
            ),
            (
                "revocation/too-many-lists",
                "more lists than are read",
                "too-many",
                "the CRL bundle holds 17 lists, 1 to 16 are accepted".to_owned(),
            ),
        ] {
            case(name, what).lists(lists).refused(&good(), "lists", &error);
        }

        let stapling = |list: &[u8]| {
            self.claiming(|claims| {
                claims["revocation"] = json!({ "crls": [openssl::base64::encode_block(list)] });
            })
        };
        let list =
            List::new(at() - days(90), at() - days(60)).revoking(&self.signer).sign(&self.intermediate);
        case("revocation/stapled", "the license brings an old list that names its own signer").refused(
            &stapling(&list),
            "revocation",
            &revoked(0),
        );
        case("revocation/stapled-garbage", "the license brings something that is no list").refused(
            &stapling(b"list"),
            "claims",
            "the claim `revocation.crls[0]` does not fit the schema",
        );
        let many = self.claiming(|claims| {
            claims["revocation"] = json!({ "crls": vec![openssl::base64::encode_block(&list); 17] });
        });
        case("revocation/stapled-many", "the license brings 17 lists").refused(
            &many,
            "claims",
            "the claim `revocation.crls[16]` does not fit the schema",
        );
    }
}
