//! Makes the hostile corpus. Files that are there are left alone: see the README beside this file.

use std::{fs, ops::Range, path::PathBuf};

use chancery_acceptance::root;
use envelope::oid;
use forge::{
    Key, Kind, base64url,
    certificate::{self, CRL_SIGN, DIGITAL_SIGNATURE, Entity, KEY_CERT_SIGN, POLICIES, Profile},
    crl::{self, List},
    der,
    jwe::{self, Jwe},
    jws, with_part,
};
use jiff::{SignedDuration, Timestamp};
use openssl::{hash::MessageDigest, pkey::PKey, sha::sha256, sign::Signer};
use serde_json::{Value, json};

/// When licenses are looked at, unless a file says otherwise.
const AT: &str = "2026-06-01T00:00:00Z";
const ANY_POLICY: &str = "2.5.29.32.0";
const SHOP_POLICY: &str = "1.3.6.1.4.1.99999.1";
const OTHER_POLICY: &str = "1.3.6.1.4.1.99999.2";
/// Suffix of names that no certificate of ours has.
const FOREIGN: &str = "Foreign root";

fn main() {
    let world = World::new();
    world.bundles();
    world.valid();
    world.chains();
    world.policies();
    world.revocation();
    world.headers();
    world.encryption();
    world.signatures();
    world.claims();
    world.key_format();
    world.bounds();
    world.running();
}

/// Everybody involved, the same at every run but for signatures.
struct World {
    folder: PathBuf,
    recipient: Key,
    root: Entity,
    intermediate: Entity,
    signer: Entity,
    partner: Entity,
    foreign_root: Entity,
}

/// A file in the making.
#[derive(Clone)]
struct Case {
    name: &'static str,
    what: &'static str,
    at: String,
    format: &'static str,
    recipient: &'static str,
    roots: &'static str,
    lists: Option<&'static str>,
    partners: bool,
}

/// An attack on a sealed license of the usual deployment.
fn case(name: &'static str, what: &'static str) -> Case {
    Case {
        name,
        what,
        at: AT.to_owned(),
        format: "sealed",
        recipient: "recipient-p256",
        roots: "vendor",
        lists: None,
        partners: false,
    }
}

impl Case {
    fn at(self, at: &str) -> Self {
        Self { at: at.to_owned(), ..self }
    }

    fn recipient(self, recipient: &'static str) -> Self {
        Self { recipient, ..self }
    }

    fn roots(self, roots: &'static str) -> Self {
        Self { roots, ..self }
    }

    fn lists(self, lists: &'static str) -> Self {
        Self { lists: Some(lists), ..self }
    }

    fn partners(self) -> Self {
        Self { partners: true, ..self }
    }

    fn key_format(self) -> Self {
        Self { format: "key", ..self }
    }

    fn refused(&self, token: &str, stage: &str, error: &str) {
        let verdict = format!("[refused]\nstage = \"{stage}\"\nerror = {}\n", quoted(error));
        self.write(&format!("token = {}\n", quoted(token)), &verdict);
    }

    fn opens(&self, token: &str) {
        self.write(&format!("token = {}\n", quoted(token)), "[opens]\nlicense = \"L-2026-1\"\n");
    }

    /// Refused at this step, in whatever words.
    fn refused_at(&self, token: &str, stage: &str) {
        self.write(&format!("token = {}\n", quoted(token)), &format!("[refused]\nstage = \"{stage}\"\n"));
    }

    /// Many tokens, each refused at this step in words of its own.
    fn derived(&self, from: &str, by: &str, stage: &str) {
        let verdict =
            format!("[derived]\nfrom = \"{from}\"\nby = \"{by}\"\n\n[refused]\nstage = \"{stage}\"\n");
        self.write("", &verdict);
    }

    /// A running license, with these settings of the deployment and what happens then.
    fn runs(&self, token: &str, settings: &str, steps: &[(&str, &[&str], &str, &str)]) {
        let mut verdict = String::new();
        for (at, does, status, detail) in steps {
            let does = Value::from(does.to_vec());
            verdict += &format!("[[then]]\nat = \"{at}\"\ndoes = {does}\nstatus = \"{status}\"\n");
            if !detail.is_empty() {
                verdict += &format!("detail = {}\n", quoted(detail));
            }
            verdict.push('\n');
        }
        let token = format!("{settings}token = {}\n", quoted(token));
        Self { format: "running", ..self.clone() }.write(&token, verdict.trim_end_matches('\n'));
    }

    fn write(&self, token: &str, verdict: &str) {
        let mut text = format!("what = {}\nat = \"{}\"\n", quoted(self.what), self.at);
        text += &format!("format = \"{}\"\n", self.format);
        if self.format != "key" {
            text += &format!("recipient = \"{}\"\nroots = \"{}\"\n", self.recipient, self.roots);
        }
        if let Some(lists) = self.lists {
            text += &format!("lists = \"{lists}\"\n");
        }
        if self.partners {
            text += "partners = true\n";
        }
        write(&folder().join(format!("{}.toml", self.name)), &format!("{text}{token}\n{verdict}"));
    }
}

/// A text as TOML writes it; JSON's escapes are TOML's too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn folder() -> PathBuf {
    root().join("tests/hostile")
}

/// Writes what is not there.
fn write(path: &PathBuf, text: &str) {
    if path.exists() {
        return;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
    fs::write(path, text).expect("write the file");
    println!("{}", path.display());
}

fn at() -> Timestamp {
    AT.parse().expect("a time")
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn years() -> Range<Timestamp> {
    at() - days(100)..at() + days(3600)
}

/// With a serial number that follows from the name, so that it is the same at every run.
fn steady(mut profile: Profile) -> Profile {
    profile.serial = sha256(profile.name.as_bytes())[..16].to_vec();
    profile.serial[0] = profile.serial[0] & 0x7f | 0x40;
    profile
}

fn authority(name: &str, path_length: Option<u8>) -> Profile {
    steady(Profile::authority(name, years(), path_length)).policies(&[&license_policy()])
}

fn a_root(name: &str, path_length: Option<u8>) -> Profile {
    steady(Profile::authority(name, years(), path_length))
}

fn a_signer(name: &str) -> Profile {
    let purpose = oid::LICENSE_SIGNING_EKU.to_string();
    steady(Profile::signer(name, years())).purposes(&[&purpose]).policies(&[&license_policy()])
}

fn license_policy() -> String {
    oid::LICENSE_SIGNING_POLICY.to_string()
}

/// Claims that fit, valid for a year.
fn claims() -> Value {
    json!({
        "schema": "urn:chancery:license:1",
        "licenseId": "L-2026-1",
        "issuer": { "id": "vendor", "name": "Vendor" },
        "licensee": { "id": "acme", "name": "Acme" },
        "installationOwner": { "id": "acme", "name": "Acme" },
        "issuedAt": "2026-06-01T00:00:00Z",
        "notBefore": "2026-06-01T00:00:00Z",
        "expiresAt": "2027-06-01T00:00:00Z",
        "graceDays": 14,
        "binding": { "installationId": "site-1", "baseDomains": ["acme.example"] },
        "grant": {
            "products": { "chancery": { "edition": "pro" } },
            "features": { "tenancy.subtenants.v1": true },
            "commands": { "allow": [], "deny": [] },
            "quotas": { "tenants.root.max": 50 },
        },
    })
}

impl World {
    fn new() -> Self {
        let root = a_root("Vendor root", Some(2)).self_signed(&stored("root", Kind::P256));
        let intermediate =
            authority("Vendor intermediate", Some(0)).issue(&stored("intermediate", Kind::P256), &root);
        let signer = a_signer("Vendor signer").issue(&stored("signer", Kind::P256), &intermediate);
        let partner = authority("Partner", Some(0))
            .policies(&[&license_policy(), &oid::PARTNER_CA_POLICY.to_string(), SHOP_POLICY])
            .issue(&stored("partner", Kind::P256), &root);
        let foreign_root = a_root(FOREIGN, Some(2)).self_signed(&stored("foreign-root", Kind::P256));
        Self {
            folder: folder(),
            recipient: stored("recipient-p256", Kind::P256),
            root,
            intermediate,
            signer,
            partner,
            foreign_root,
        }
    }

    /// A key that only signs, made anew at every run: nothing but a certificate remembers it.
    fn passing() -> Key {
        Key::new(Kind::P256)
    }

    fn chain(&self) -> [&Entity; 2] {
        [&self.signer, &self.intermediate]
    }

    fn signed(&self) -> String {
        signed_by(&self.chain(), &claims())
    }

    fn seal(&self, jws: impl AsRef<[u8]>) -> String {
        jwe::seal(jws, &self.recipient, "recipient-p256")
    }

    /// A license by the first of a chain.
    fn license(&self, chain: &[&Entity]) -> String {
        self.seal(signed_by(chain, &claims()))
    }

    /// A license by the usual signer, its claims changed.
    fn claiming(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut document = claims();
        change(&mut document);
        self.seal(signed_by(&self.chain(), &document))
    }

    /// The same, its claims any text.
    fn claiming_text(&self, text: &str) -> String {
        let header = jws::header(&self.chain()).to_string();
        self.seal(jws::sign(&header, text.as_bytes(), &self.signer.key))
    }

    /// A license whose JWS has this header, signed by the usual signer.
    fn under_header(&self, header: &str) -> String {
        self.seal(jws::sign(header, claims().to_string().as_bytes(), &self.signer.key))
    }

    /// Beneath the vendor's intermediate, a signer of this profile.
    fn by(&self, signer: &Profile) -> String {
        let signer = signer.issue(&Self::passing(), &self.intermediate);
        self.license(&[&signer, &self.intermediate])
    }

    /// Beneath the vendor's root, an intermediate of this profile, and a proper signer.
    fn beneath(&self, intermediate: &Profile) -> String {
        let intermediate = intermediate.issue(&Self::passing(), &self.root);
        let signer = a_signer("Signer beneath").issue(&Self::passing(), &intermediate);
        self.license(&[&signer, &intermediate])
    }

    fn bundles(&self) {
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

    fn valid(&self) {
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

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn chains(&self) {
        let foreign = a_signer("Foreign signer").issue(&Self::passing(), &self.foreign_root);
        let none = "no path leads to a configured root";
        case("chain/wrong-root", "signed beneath a root that is not configured").refused(
            &self.license(&[&foreign]),
            "chain",
            none,
        );
        case("chain/wrong-root-sent-along", "the same, with that root in x5c").refused(
            &self.license(&[&foreign, &self.foreign_root]),
            "chain",
            none,
        );
        let namesake = a_root("Vendor root", Some(2)).self_signed(&Self::passing());
        let signer = a_signer("Foreign signer").issue(&Self::passing(), &namesake);
        case("chain/root-of-the-same-name", "signed beneath a foreign root that has our root's name")
            .refused(
                &self.license(&[&signer]),
                "chain",
                "the signature on certificate 0 does not match its issuer's key",
            );
        case("chain/root-of-the-same-name-sent-along", "the same, with that root in x5c").refused(
            &self.license(&[&signer, &namesake]),
            "chain",
            none,
        );
        let crossed =
            authority("Vendor intermediate", Some(0)).issue(&self.intermediate.key, &self.foreign_root);
        case("chain/cross-signed", "our intermediate's name and key, certified by a foreign root").refused(
            &self.license(&[&self.signer, &crossed]),
            "chain",
            none,
        );
        let impostor = authority("Vendor intermediate", Some(0)).issue(&Self::passing(), &self.root);
        case("chain/intermediate-of-the-same-name", "a signer beneath another intermediate of the same name")
            .refused(
                &self.license(&[&self.signer, &impostor]),
                "chain",
                "the signature on certificate 0 does not match its issuer's key",
            );
        let own = a_signer("Vendor signer").self_signed(&Self::passing());
        case("chain/self-signed", "the signer vouches for itself").refused(
            &self.license(&[&own]),
            "chain",
            none,
        );
        let own = a_signer("Vendor root").self_signed(&Self::passing());
        case("chain/self-signed-as-the-root", "the signer vouches for itself under our root's name").refused(
            &self.license(&[&own]),
            "chain",
            none,
        );
        case("chain/signer-above-the-root", "our root stands in x5c, above a signer it did not issue")
            .refused(&self.license(&[&foreign, &self.root]), "chain", none);

        let expired = |profile: Profile| Profile { validity: at() - days(20)..at() - days(10), ..profile };
        let future = |profile: Profile| Profile { validity: at() + days(10)..at() + days(20), ..profile };
        let invalid =
            |position: usize| format!("certificate {position} is not valid at the time of the check");
        case("chain/expired-leaf", "the signer's certificate has expired").refused(
            &self.by(&expired(a_signer("Signer"))),
            "chain",
            &invalid(0),
        );
        case("chain/future-leaf", "the signer's certificate is not valid yet").refused(
            &self.by(&future(a_signer("Signer"))),
            "chain",
            &invalid(0),
        );
        case("chain/expired-intermediate", "the intermediate has expired").refused(
            &self.beneath(&expired(authority("Old", Some(0)))),
            "chain",
            &invalid(1),
        );
        let short_lived =
            a_root("Short-lived root", Some(2)).self_signed(&stored("short-lived-root", Kind::P256));
        let signer = a_signer("Signer").issue(&Self::passing(), &short_lived);
        case("chain/expired-root", "the configured root itself has expired")
            .roots("short-lived")
            .at("2026-06-12T00:00:00Z")
            .refused(&self.license(&[&signer]), "chain", &invalid(1));
        case("chain/last-second", "at the very instant at which all certificates expire")
            .at("2036-04-09T00:00:00Z")
            .refused(&self.license(&self.chain()), "chain", &invalid(2));

        let authority_as_signer =
            a_signer("Signer").constraints(true, Some(0)).usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN);
        let not_a_signer = "the signer's certificate is not one for signing documents";
        case("chain/authority-as-signer", "an authority signs a license").refused(
            &self.beneath_root(&authority_as_signer),
            "chain",
            not_a_signer,
        );
        case("chain/root-as-signer", "the root signs a license").refused(
            &self.license(&[&self.root]),
            "chain",
            not_a_signer,
        );
        case("chain/no-digital-signature", "the signer's key is not for signing").refused(
            &self.by(&a_signer("Signer").usage(certificate::KEY_AGREEMENT)),
            "chain",
            not_a_signer,
        );
        case("chain/no-key-usage", "the signer does not say what its key is for").refused(
            &self.by(&a_signer("Signer").without(certificate::KEY_USAGE)),
            "chain",
            not_a_signer,
        );

        let not_an_authority = "certificate 1 is not an authority";
        let plain = a_signer("Not an authority");
        case("chain/intermediate-without-ca", "a signer signs another signer").refused(
            &self.beneath(&plain),
            "chain",
            not_an_authority,
        );
        let no_constraints = authority("No constraints", Some(0)).without(certificate::BASIC_CONSTRAINTS);
        case("chain/intermediate-without-constraints", "an intermediate without basicConstraints").refused(
            &self.beneath(&no_constraints),
            "chain",
            not_an_authority,
        );
        let no_cert_sign = authority("No keyCertSign", Some(0)).usage(DIGITAL_SIGNATURE | CRL_SIGN);
        case("chain/intermediate-without-cert-sign", "an intermediate that may not sign certificates")
            .refused(&self.beneath(&no_cert_sign), "chain", not_an_authority);
        let version_1 = steady(Profile::new("Version 1", years()));
        case("chain/intermediate-of-version-1", "an intermediate of X.509 version 1").refused(
            &self.beneath(&version_1),
            "chain",
            not_an_authority,
        );

        let length = "the path length is more than an authority allows";
        let first = authority("First", Some(0)).issue(&Self::passing(), &self.root);
        let second = authority("Second", Some(0)).issue(&Self::passing(), &first);
        let signer = a_signer("Signer").issue(&Self::passing(), &second);
        case("chain/path-length-exceeded", "an authority that allows none beneath it issues one").refused(
            &self.license(&[&signer, &second, &first]),
            "chain",
            length,
        );
        let mut chain = vec![self.root.clone()];
        for name in ["First", "Second", "Third"] {
            let above = chain.last().expect("the root");
            let next = authority(name, None).issue(&Self::passing(), above);
            chain.push(next);
        }
        let signer = a_signer("Signer").issue(&Self::passing(), &chain[3]);
        case("chain/path-length-of-the-root-exceeded", "three intermediates beneath a root that allows two")
            .refused(&self.license(&[&signer, &chain[3], &chain[2], &chain[1]]), "chain", length);

        let elsewhere = authority("Constrained", Some(0)).permitting("Elsewhere");
        case("chain/name-constraint-violated", "the intermediate may only issue beneath another name")
            .refused(
                &self.beneath(&elsewhere),
                "chain",
                "certificate 0 has a name outside its authority's constraints",
            );

        let unknown = ("1.3.6.1.4.1.99999.9", [0x05, 0x00]);
        let malformed = |position: usize| {
            format!("certificate {position} is malformed or has an unknown critical extension")
        };
        case(
            "chain/unknown-critical-extension-leaf",
            "the signer has a critical extension that nobody knows",
        )
        .refused(
            &self.by(&a_signer("Signer").with(unknown.0, true, &unknown.1)),
            "chain",
            &malformed(0),
        );
        case("chain/unknown-critical-extension-intermediate", "the intermediate has one").refused(
            &self.beneath(&authority("Critical", Some(0)).with(unknown.0, true, &unknown.1)),
            "chain",
            &malformed(1),
        );
        let ill_formed =
            |position: usize| format!("certificate {position} of x5c: not a well-formed X.509 certificate");
        let doubled = a_signer("Signer").twice(certificate::BASIC_CONSTRAINTS, true, &der::sequence(&[]));
        case("chain/extension-twice", "basicConstraints stand twice").refused(
            &self.by(&doubled),
            "chain",
            &ill_formed(0),
        );
        let doubled =
            a_signer("Signer").twice(unknown.0, false, &unknown.1).twice(unknown.0, false, &unknown.1);
        case("chain/unknown-extension-twice", "an extension that nobody knows stands twice").refused(
            &self.by(&doubled),
            "chain",
            &ill_formed(0),
        );
        let sha1 = Profile { sha1: true, ..a_signer("Signer") };
        case("chain/sha1", "the signer's certificate is signed with SHA-1").refused(
            &self.by(&sha1),
            "chain",
            "the signature on certificate 0 does not match its issuer's key",
        );
        let (_, rsa) = Key::new(Kind::Rsa(2048)).sign_x509(&[]);
        let confused = Profile { algorithm_inside: Some(rsa), ..a_signer("Signer") };
        case(
            "chain/algorithms-disagree",
            "the certificate names one signature algorithm inside and another outside",
        )
        .refused(&self.by(&confused), "chain", &malformed(0));

        case("chain/missing-intermediate", "x5c leaves the intermediate out").refused(
            &self.license(&[&self.signer]),
            "chain",
            none,
        );
        case("chain/reversed", "x5c begins with the intermediate").refused(
            &self.seal(jws::sign(
                &json!({ "alg": "ES256", "x5c": [self.intermediate.x5c(), self.signer.x5c()] }).to_string(),
                claims().to_string().as_bytes(),
                &self.signer.key,
            )),
            "signature",
            "the signature does not match the signer's key",
        );
        case("chain/stranger-between", "x5c holds a certificate that does not belong").refused(
            &self.license(&[&self.signer, &foreign, &self.intermediate]),
            "chain",
            length,
        );
        case("chain/stranger-at-the-end", "x5c ends in a certificate that does not belong").refused(
            &self.license(&[&self.signer, &self.intermediate, &self.foreign_root]),
            "chain",
            none,
        );
        case("chain/loop", "the intermediate stands twice").refused(
            &self.license(&[&self.signer, &self.intermediate, &self.intermediate]),
            "chain",
            "a certificate stands twice in the path",
        );
        let (one, two) = (Self::passing(), Self::passing());
        let (profile_one, profile_two) = (authority("One", None), authority("Two", None));
        let two_by_one = profile_two.sign(&two, "One", &one);
        let one_by_two = profile_one.sign(&one, "Two", &two);
        let signer = a_signer("Signer").issue(&Self::passing(), &two_by_one);
        case("chain/two-that-vouch-for-each-other", "two intermediates issue each other").refused(
            &self.license(&[&signer, &two_by_one, &one_by_two]),
            "chain",
            none,
        );
        let trailing = Entity { der: [self.signer.der.clone(), vec![0]].concat(), ..self.signer.clone() };
        case("chain/trailing-byte", "a byte follows the certificate").refused(
            &self.license(&[&trailing, &self.intermediate]),
            "chain",
            &ill_formed(0),
        );
        let garbage = Entity { der: b"-----BEGIN CERTIFICATE-----".to_vec(), ..self.intermediate.clone() };
        case("chain/garbage", "what should be a certificate is none").refused(
            &self.license(&[&self.signer, &garbage]),
            "chain",
            &ill_formed(1),
        );
        let stuffed = a_signer("Signer").with(unknown.0, false, &vec![0; 17 * 1024]);
        case("chain/large-certificate", "a certificate of 17 kB").refused(
            &self.by(&stuffed),
            "chain",
            "certificate 0 of x5c: longer than 16384 bytes",
        );

        let unsupported =
            "certificate 0 of x5c: not an EC key on P-256 or P-384, an RSA key or an Ed25519 key";
        case("chain/secp256k1", "a signer on secp256k1").refused(
            &self.by_key(&Key::new(Kind::Secp256k1), "ES256"),
            "chain",
            unsupported,
        );
        case("chain/x25519", "a signer whose key cannot sign").refused(
            &self.with_public_key(Key::new(Kind::X25519).public_der(), "EdDSA"),
            "chain",
            unsupported,
        );
        case("chain/rsa-1024", "a signer with a modulus of 1024 bits").refused(
            &self.by_key(&Key::new(Kind::Rsa(1024)), "PS256"),
            "chain",
            "certificate 0 of x5c: an RSA modulus of 1024 bits; 2048 to 4096 are accepted",
        );
        case("chain/rsa-16384", "a modulus of 16384 bits, to keep the verifier busy").refused(
            &self.with_public_key(rsa_public_key(2048, &[1, 0, 1]), "PS256"),
            "chain",
            "certificate 0 of x5c: an RSA modulus of 16384 bits; 2048 to 4096 are accepted",
        );
        case("chain/rsa-huge-exponent", "an exponent as long as the modulus, to keep the verifier busy")
            .refused(
                &self.with_public_key(rsa_public_key(512, &[0x7f; 511]), "PS256"),
                "signature",
                "the signature does not match the signer's key",
            );
        let mut off_curve = self.signer.key.public_der();
        *off_curve.last_mut().expect("a point") ^= 1;
        case("chain/point-off-curve", "a signer whose point is not on its curve").refused(
            &self.with_public_key(off_curve, "ES256"),
            "chain",
            "certificate 0 of x5c: not a well-formed public key",
        );
        case("chain/roots-without-authority", "a root bundle of a self-signed signer")
            .roots("self-signed-signer")
            .refused(
                &self.license(&self.chain()),
                "roots",
                "certificate 0 of the root bundle is not a self-signed authority",
            );
        case("chain/intermediate-as-root", "a root bundle of an intermediate")
            .roots("intermediate-as-root")
            .refused(
                &self.license(&self.chain()),
                "roots",
                "certificate 0 of the root bundle is not a self-signed authority",
            );
    }

    fn policies(&self) {
        let eku = oid::LICENSE_SIGNING_EKU;
        let purpose = format!("the signer's certificate lacks the extended key usage `{eku}`");
        let policy =
            |position: usize| format!("certificate {position} lacks the policy `{}`", license_policy());
        case("policy/missing-eku", "the signer has no extended key usage").refused(
            &self.by(&a_signer("Signer").without(certificate::EXTENDED_KEY_USAGE)),
            "policy",
            &purpose,
        );
        case("policy/other-eku", "the signer may sign code").refused(
            &self.by(&a_signer("Signer").purposes(&["1.3.6.1.5.5.7.3.3"])),
            "policy",
            &purpose,
        );
        case("policy/any-eku", "the signer may do anything").refused(
            &self.by(&a_signer("Signer").purposes(&["2.5.29.37.0"])),
            "policy",
            &purpose,
        );
        case("policy/missing-policy", "the signer asserts no policy").refused(
            &self.by(&a_signer("Signer").without(POLICIES)),
            "policy",
            &policy(0),
        );
        case("policy/other-policy", "the signer asserts another policy").refused(
            &self.by(&a_signer("Signer").policies(&[OTHER_POLICY])),
            "policy",
            &policy(0),
        );
        case("policy/any-policy", "the signer asserts any policy").refused(
            &self.by(&a_signer("Signer").policies(&[ANY_POLICY])),
            "policy",
            &policy(0),
        );
        case("policy/missing-policy-intermediate", "the intermediate asserts no policy").refused(
            &self.beneath(&authority("Silent", Some(0)).without(POLICIES)),
            "policy",
            &policy(1),
        );
        case("policy/mapping", "the intermediate maps a policy it has to the one that is required").refused(
            &self.beneath(
                &authority("Mapping", Some(0))
                    .policies(&[OTHER_POLICY])
                    .mapping(OTHER_POLICY, &license_policy()),
            ),
            "policy",
            &policy(1),
        );
        case("policy/mapping-away", "the intermediate maps the required policy to another").refused(
            &self.beneath(&authority("Mapping", Some(0)).mapping(&license_policy(), OTHER_POLICY)),
            "policy",
            &policy(1),
        );
        let inhibiting = authority("Inhibiting", Some(1))
            .with("2.5.29.54", true, &der::integer(&[0]))
            .issue(&Self::passing(), &self.root);
        let any = authority("Any", Some(0)).policies(&[ANY_POLICY]).issue(&Self::passing(), &inhibiting);
        let signer = a_signer("Signer").issue(&Self::passing(), &any);
        case("policy/any-policy-inhibited", "anyPolicy beneath an authority that inhibits it").refused(
            &self.license(&[&signer, &any, &inhibiting]),
            "policy",
            &policy(2),
        );
        let asserted = self.claiming(|claims| claims["assertedPolicies"] = json!([OTHER_POLICY]));
        case("policy/asserted-without-right", "the claims assert a policy that the path does not have")
            .refused(&asserted, "policy", &format!("certificate 0 lacks the policy `{OTHER_POLICY}`"));

        let foreign = |product: &str| {
            format!("the signer's authority is a partner, which may not sign for `{product}`")
        };
        case("policy/partner-foreign-product", "a partner signs for a product of ours").partners().refused(
            &self.partner_license(|_| {}),
            "policy",
            &foreign("chancery"),
        );
        let unlisted =
            self.partner_license(|grant| grant["products"] = json!({ "unlisted": { "edition": "x" } }));
        case("policy/partner-unlisted-product", "a partner signs for a product that has no policy")
            .partners()
            .refused(&unlisted, "policy", &foreign("unlisted"));
        for (name, what, rule) in [
            ("policy/partner-allows-everything", "a partner's allow rule speaks of every product", "**"),
            ("policy/partner-allows-any-product", "a partner's allow rule begins with `*`", "*.*.*.list"),
            (
                "policy/partner-allows-one-of-ours",
                "a partner's allow rule names a product of ours beside its own",
                "{shop,chancery}.**",
            ),
        ] {
            let token = self.partner_license(|grant| {
                grant["products"] = json!({ "shop": { "edition": "x" } });
                grant["commands"]["allow"] = json!([rule]);
            });
            case(name, what).partners().refused(&token, "policy", &foreign(rule));
        }
    }

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn revocation(&self) {
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

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn headers(&self) {
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

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn encryption(&self) {
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

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn signatures(&self) {
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

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn claims(&self) {
        let not_claims = "the claims are not a JSON object with a schema";
        let misfit = |path: &str| format!("the claim `{path}` does not fit the schema");
        let text = claims().to_string();
        // A member in front of all, or in front of another one.
        let before = |member: &str| text.replacen('{', &format!("{{{member},"), 1);
        let within = |member: &str, first: &str| text.replace(member, &format!("{first},{member}"));
        let everything = r#""products":{},"features":{},"quotas":{},"commands":{"allow":["**"],"deny":[]}"#;
        let everything = format!(r#""grant":{{{everything}}}"#);
        for (name, what, text) in [
            ("claims/empty", "no claims", String::new()),
            ("claims/array", "a list", "[]".to_owned()),
            ("claims/no-schema", "an object without a schema", "{}".to_owned()),
            ("claims/schema-number", "a schema that is a number", r#"{"schema":1}"#.to_owned()),
            ("claims/trailing-text", "another object follows", format!("{text}{text}")),
            (
                "claims/open-json",
                "ten thousand brackets that never close",
                format!(r#"{{"schema":"urn:chancery:license:1","x":{}"#, "[".repeat(10_000)),
            ),
            ("claims/byte-order-mark", "the claims begin with a byte order mark", format!("\u{feff}{text}")),
        ] {
            case(name, what).refused(&self.claiming_text(&text), "claims", not_claims);
        }
        for (name, what, text, error) in [
            (
                "claims/duplicate-schema",
                "the schema stands twice",
                text.replacen('{', r#"{"schema":"urn:chancery:license:2","#, 1),
                "the claims state `schema` twice".to_owned(),
            ),
            (
                "claims/lone-surrogate",
                "half a character",
                text.replace("L-2026-1", r"L-\ud800"),
                not_claims.to_owned(),
            ),
            (
                "claims/huge-number",
                "a number beyond every float",
                text.replace(":14", ":1e999"),
                not_claims.to_owned(),
            ),
            (
                "claims/quota-above-64-bits",
                "a quota of more than 64 bits",
                text.replace(":50", ":18446744073709551616"),
                misfit("grant.quotas.tenants.root.max"),
            ),
        ] {
            case(name, what).refused(&self.claiming_text(&text), "claims", &error);
        }
        for (name, what, text) in [
            (
                "claims/deep-json",
                "a list in a list, ten thousand deep",
                format!(
                    r#"{{"schema":"urn:chancery:license:1","metadata":{{"x":{}{}}}}}"#,
                    "[".repeat(10_000),
                    "]".repeat(10_000)
                ),
            ),
            (
                "claims/duplicate-license-id",
                "the license id stands twice",
                before(r#""licenseId":"L-2026-2""#),
            ),
            ("claims/duplicate-grant", "the grant stands twice", before(&everything)),
            (
                "claims/duplicate-quota",
                "a quota stands twice",
                within(r#""tenants.root.max":50"#, r#""tenants.root.max":5000"#),
            ),
            (
                "claims/duplicate-feature",
                "a feature stands twice",
                within(r#""tenancy.subtenants.v1":true"#, r#""tenancy.subtenants.v1":false"#),
            ),
            (
                "claims/duplicate-product",
                "a product stands twice",
                within(r#""chancery":{"#, r#""chancery":{"edition":"free"}"#),
            ),
            ("claims/duplicate-unknown", "a claim that nobody knows stands twice", before(r#""x":1,"x":2"#)),
        ] {
            case(name, what).refused_at(&self.claiming_text(&text), "claims");
        }
        let escapes = self.claiming(|claims| {
            claims["grant"]["quotas"][format!("\n\u{1b}[31m{}", "x".repeat(10_000))] = json!(-1);
        });
        case("claims/name-with-escapes", "a member whose name would paint the log")
            .refused_at(&escapes, "claims");
        let later = self.claiming(|claims| claims["schema"] = json!("urn:chancery:license:2"));
        case("claims/schema-2", "a schema version of a later build").refused(
            &later,
            "claims",
            "the claims have the schema `urn:chancery:license:2`, which this build does not know",
        );
        let padded = self.claiming(|claims| claims["schema"] = json!("urn:chancery:license:1\u{0}"));
        case("claims/schema-nul", "a schema version that ends in NUL").refused(
            &padded,
            "claims",
            r"the claims have the schema `urn:chancery:license:1\0`, which this build does not know",
        );
        for (name, what, path, value) in [
            ("claims/negative-grace", "a negative grace", "/graceDays", json!(-1)),
            ("claims/long-grace", "a grace of 65536 days", "/graceDays", json!(65_536)),
            ("claims/fractional-grace", "a grace of half a day", "/graceDays", json!(0.5)),
            ("claims/grace-text", "a grace as text", "/graceDays", json!("14")),
            (
                "claims/expiry-without-zone",
                "an expiry without time zone",
                "/expiresAt",
                json!("2027-06-01T00:00:00"),
            ),
            (
                "claims/expiry-year-10000",
                "an expiry beyond the calendar",
                "/expiresAt",
                json!("+10000-01-01T00:00:00Z"),
            ),
            ("claims/expiry-number", "an expiry in seconds", "/expiresAt", json!(1_811_808_000)),
            (
                "claims/party-unknown-member",
                "a party with a member that nobody knows",
                "/licensee",
                json!({ "id": "acme", "name": "Acme", "admin": true }),
            ),
            (
                "claims/binding-unknown-member",
                "a binding that this build cannot check",
                "/binding",
                json!({ "hardwareId": "x" }),
            ),
            (
                "claims/grant-unknown-member",
                "a grant with a member that nobody knows",
                "/grant",
                json!({ "products": {}, "features": {}, "quotas": {}, "commands": { "allow": [], "deny": [] }, "limits": {} }),
            ),
            (
                "claims/rule-too-short",
                "a rule that matches nothing",
                "/grant/commands",
                json!({ "allow": ["chancery.*"], "deny": [] }),
            ),
            (
                "claims/rule-nul",
                "a rule with NUL",
                "/grant/commands",
                json!({ "allow": ["chancery.tenancy\u{0}.**"], "deny": [] }),
            ),
            ("claims/negative-quota", "a negative quota", "/grant/quotas", json!({ "tenants.root.max": -1 })),
            ("claims/fractional-quota", "half a tenant", "/grant/quotas", json!({ "tenants.root.max": 0.5 })),
            (
                "claims/quota-key-unicode",
                "a quota key in look-alike letters",
                "/grant/quotas",
                json!({ "tenants.r\u{43e}\u{43e}t.max": 1 }),
            ),
            (
                "claims/feature-object",
                "a feature that is an object",
                "/grant/features",
                json!({ "tenancy.subtenants.v1": {} }),
            ),
            (
                "claims/feature-negative",
                "a negative feature",
                "/grant/features",
                json!({ "tenancy.subtenants.v1": -1 }),
            ),
            ("claims/products-list", "products as a list", "/grant/products", json!(["chancery"])),
            (
                "claims/revocation-unknown-member",
                "revocation that this build cannot check",
                "/revocation",
                json!({ "ocsp": "AAAA" }),
            ),
        ] {
            let token = self.claiming(|claims| match path.split_once("/grant/") {
                Some((_, member)) => claims["grant"][member] = value,
                None => claims[&path[1..]] = value,
            });
            let path = match name {
                "claims/party-unknown-member" => "licensee.admin".to_owned(),
                "claims/binding-unknown-member" => "binding.hardwareId".to_owned(),
                "claims/grant-unknown-member" => "grant.limits".to_owned(),
                "claims/revocation-unknown-member" => "revocation.ocsp".to_owned(),
                "claims/rule-too-short" | "claims/rule-nul" => "grant.commands.allow[0]".to_owned(),
                "claims/negative-quota" | "claims/fractional-quota" => {
                    "grant.quotas.tenants.root.max".to_owned()
                }
                "claims/feature-object" | "claims/feature-negative" => {
                    "grant.features.tenancy.subtenants.v1".to_owned()
                }
                _ => path[1..].replace('/', "."),
            };
            case(name, what).refused(&token, "claims", &misfit(&path));
        }
        let absent = self.claiming(|claims| drop(claims.as_object_mut().expect("claims").remove("grant")));
        case("claims/no-grant", "no grant").refused(&absent, "claims", "the claim `grant` is absent");
        let blank = self.claiming(|claims| claims["licenseId"] = json!("\u{a0}\t"));
        case("claims/blank-license-id", "a license id of blanks").refused(
            &blank,
            "claims",
            "the claim `licenseId` is empty",
        );
        let blank = self.claiming(|claims| claims["binding"]["installationId"] = json!(""));
        case("claims/blank-installation", "an installation id of nothing").refused(
            &blank,
            "claims",
            "the claim `binding.installationId` is empty",
        );
        let never = self.claiming(|claims| claims["expiresAt"] = claims["notBefore"].clone());
        case("claims/never-valid", "a license that ends as it begins").refused(
            &never,
            "claims",
            "the license ends at 2026-06-01T00:00:00Z, before it begins",
        );
        for (name, role) in [
            ("claims/no-issuer", "issuer"),
            ("claims/no-licensee", "licensee"),
            ("claims/no-owner", "installationOwner"),
        ] {
            let token = self.claiming(|claims| drop(claims.as_object_mut().expect("claims").remove(role)));
            case(name, "a party is absent").refused(
                &token,
                "parties",
                &format!("the license does not state its {role}"),
            );
        }
        let too_long = "a development license counts for at most 31 days, grace included";
        case("development/32-days", "a development license of 32 days").roots("development").refused(
            &self.development(32, 0),
            "claims",
            too_long,
        );
        case("development/31-days-and-grace", "a development license of 31 days with a day of grace")
            .roots("development")
            .refused(&self.development(31, 1), "claims", too_long);
        case("development/on-a-server", "a development license where only the vendor's root is trusted")
            .refused(&self.development(31, 0), "chain", "no path leads to a configured root");
        let namesake = self.development_under("Vendor root", 365, 0);
        case(
            "development/under-the-vendors-name",
            "a development root that has the vendor's name vouches for a year",
        )
        .roots("vendor-and-namesake")
        .refused(&namesake, "claims", too_long);
        let deepest = u16::MAX;
        case("development/longest-grace", "a development license with the longest grace there is")
            .roots("development")
            .refused(&self.development(1, deepest), "claims", too_long);
    }

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn key_format(&self) {
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

    fn bounds(&self) {
        case("bounds/ten-megabytes", "a token of 10 MB").derived(
            "valid/p256-es256",
            "ten-megabytes",
            "bounds",
        );
        case("bounds/ten-megabytes-of-dots", "a token and 10 MB of dots").derived(
            "valid/p256-es256",
            "ten-megabytes-of-dots",
            "bounds",
        );
        case("bounds/key-of-ten-megabytes", "a license in key format of 10 MB").key_format().derived(
            "valid/key-format",
            "ten-megabytes",
            "bounds",
        );
        // A path's policies multiply from certificate to certificate (RFC 5280, 6.1.3 d): each doubled policy doubles them.
        let eight = vec![license_policy(); 8];
        let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
        let first = authority("First", Some(1)).policies(&eight).issue(&Self::passing(), &self.root);
        let second = authority("Second", Some(0)).policies(&eight).issue(&Self::passing(), &first);
        let signer = a_signer("Signer").policies(&eight).issue(&Self::passing(), &second);
        case("bounds/policies-that-multiply", "every certificate asserts the same policy eight times")
            .refused(
                &self.license(&[&signer, &second, &first]),
                "chain",
                "certificate 0 of x5c: not a well-formed X.509 certificate",
            );
        let tiny = steady(Profile::new("x", years())).self_signed(&Key::new(Kind::Ed25519));
        let mut many = vec![&self.signer, &self.intermediate];
        many.resize(200, &tiny);
        case("bounds/200-certificates", "a chain of 200 certificates").refused(
            &self.license(&many),
            "bounds",
            "x5c holds 200 certificates, 1 to 5 are accepted",
        );
        case("bounds/6-certificates", "a chain of one certificate too many").refused(
            &self.license(&many[..6]),
            "bounds",
            "x5c holds 6 certificates, 1 to 5 are accepted",
        );
        case("bounds/no-certificate", "a chain of no certificate").refused(
            &self.under_header(r#"{"alg":"ES256","x5c":[]}"#),
            "bounds",
            "x5c holds 0 certificates, 1 to 5 are accepted",
        );
    }

    #[expect(clippy::too_many_lines, reason = "a list of attacks, read from top to bottom")]
    fn running(&self) {
        const NEXT_DAY: &str = "2026-06-02T00:00:00Z";
        const AFTER: &str = "2026-06-03T00:00:00Z";
        let good = self.license(&self.chain());
        let active = (AT, ["tick"].as_slice(), "ACTIVE", "");
        case("valid/running", "a good license runs").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["restart"], "ACTIVE", "")],
        );
        case("valid/running-lost", "a license that cannot be read is stood in for").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "restart"], "RECOVERY", "")],
        );
        let once = |status, detail| [(AT, ["tick"].as_slice(), status, detail)];
        case("running/wrong-installation", "a license for another installation").runs(
            &good,
            "installation = \"site-2\"\n",
            &once("INVALID", "binding: bound to installation `site-1`, this is `site-2`"),
        );
        case("running/wrong-base-domain", "a license for another domain").runs(
            &good,
            "public_host = \"acme.example.attacker.example\"\n",
            &once("INVALID", "binding: bound to base domains acme.example; `server.public-url` is at `acme.example.attacker.example`"),
        );
        case("running/wrong-owner", "a license for an installation of somebody else").runs(
            &good,
            "owner = \"other\"\n",
            &once("INVALID", "parties: the installation owner is `acme`, here it is `other`"),
        );
        let nul = self.claiming(|claims| claims["binding"]["installationId"] = json!("site-1\u{0}"));
        case("running/installation-with-nul", "an installation id that is ours up to NUL").runs(
            &nul,
            "",
            &once(
                "INVALID",
                "claims: the claim `binding.installationId` holds control characters or more than 256 of any",
            ),
        );
        let future = self.claiming(|claims| claims["notBefore"] = json!(NEXT_DAY));
        case("running/future-not-before", "a license that begins tomorrow").runs(
            &future,
            "",
            &once("INVALID", "claims: license `L-2026-1` is not valid before 2026-06-02T00:00:00Z"),
        );
        case("running/rolled-back-clock", "the clock goes back a day between two runs").at(AFTER).runs(
            &good,
            "",
            &[
                (AFTER, &["tick"], "ACTIVE", ""),
                (NEXT_DAY, &["restart"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and 2026-06-03T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later"),
                ("2026-06-03T00:00:01Z", &["tick"], "ACTIVE", ""),
            ],
        );
        case("running/rolled-back-clock-while-running", "the clock goes back a day while the program runs")
            .at(AFTER)
            .runs(&good, "", &[(AFTER, &["tick"], "ACTIVE", ""), (NEXT_DAY, &["tick"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and 2026-06-03T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later")]);
        case("running/rolled-back-beyond-expiry", "the clock goes back to when the license was good")
            .at("2027-07-01T00:00:00Z")
            .runs(
                &good,
                "",
                &[("2027-07-01T00:00:00Z", &["tick"], "EXPIRED", ""), (AFTER, &["restart"], "BLOCKED", "clock: the clock says 2026-06-03T00:00:00Z, and 2027-07-01T00:00:00Z was seen before; this ends when the clock has caught up, or with a license that was issued later")],
            );
        case("running/edited-last-seen", "the note of the latest time is edited").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["edit-last-seen", "restart"], "BLOCKED", "clock: the clock says 2026-06-02T00:00:00Z, and the time that was stored before was changed or cannot be read; this ends with a license that was issued later")],
        );
        case(
            "running/edited-last-good",
            "the license cannot be read, and the note that would stand in for it is edited",
        )
        .runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "edit-last-good", "restart"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); memory: the last-good snapshot was changed, so it does not stand in")],
        );
        case("running/swapped-notes", "another note of ours takes the place of the last good license").runs(
            &good,
            "",
            &[active, (NEXT_DAY, &["lose-license", "swap-notes", "restart"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); memory: the last-good snapshot was changed, so it does not stand in")],
        );
        case("running/recovery-beyond-its-days", "a license that cannot be read is stood in for too long")
            .runs(
                &good,
                "",
                &[
                    active,
                    (NEXT_DAY, &["lose-license", "tick"], "RECOVERY", ""),
                    ("2026-06-09T00:00:00Z", &["tick"], "INVALID", "source: failed to read `./license`: Is a directory (os error 21); the license that was read last stood in until 2026-06-08T00:00:00Z"),
                ],
            );
        case("running/spoiled-license", "a license that is read and refused is not stood in for").runs(
            &good,
            "",
            &[
                active,
                (
                    NEXT_DAY,
                    &["spoil-license", "restart"],
                    "INVALID",
                    "format: the JWE has 1 dotted parts, not 5",
                ),
            ],
        );
        case("running/revoked-license", "a revoked license is not stood in for")
            .lists("signer-revoked")
            .runs(&good, "", &once("REVOKED", "revocation: certificate 0 is revoked"));
        case(
            "running/bad-license-before-a-good-one",
            "a bad license is not passed over for one of a later source",
        )
        .runs(
            "garbage",
            "fallback = \"valid/p256-es256\"\n",
            &once("INVALID", "format: the JWE has 1 dotted parts, not 5"),
        );

        let span = |days: i64| {
            self.claiming(|claims| {
                claims["expiresAt"] = json!(at() + SignedDuration::from_hours(24 * days));
                claims["graceDays"] = json!(0);
            })
        };
        case("running/development-32-days", "a license of 32 days where licenses for development are").runs(
            &span(32),
            "development = true\n",
            &once("INVALID", "claims: a development license is valid for at most 31 days"),
        );
        let development = self.development(31, 0);
        case("running/development-in-production", "a development license in production")
            .roots("development")
            .runs(
                &development,
                "development = true\nproduction = true\n",
                &once("INVALID", "source: a development license is refused where `environment=production`"),
            );
        case("running/development-as-the-license", "a development license where the vendor's should be")
            .roots("development")
            .runs(
                &development,
                "",
                &once("INVALID", "source: a development license is accepted from `license.dev.path` only"),
            );
        let key = key_token(&json!({ "alg": "EdDSA", "kid": "key-1" }));
        case("valid/running-key", "a license in key format, where the packaging takes it").runs(
            &key,
            "takes_keys = true\n",
            &once("ACTIVE", ""),
        );
        case("running/key-on-a-server", "a license in key format where the packaging is a server's").runs(
            &key,
            "",
            &once(
                "INVALID",
                "format: a license in key format is refused where `packaging` is `server` or `container`",
            ),
        );
    }

    /// A license by a partner's signer, its grant changed.
    fn partner_license(&self, change: impl FnOnce(&mut Value)) -> String {
        let policies = [license_policy(), SHOP_POLICY.to_owned()];
        let signer = a_signer("Partner signer")
            .policies(&[&policies[0], &policies[1]])
            .issue(&Self::passing(), &self.partner);
        let mut document = claims();
        change(&mut document["grant"]);
        self.seal(signed_by(&[&signer, &self.partner], &document))
    }

    /// The root for development licenses, under this name.
    fn development_root(name: &str) -> Entity {
        let profile = steady(Profile::authority(name, years(), Some(0)));
        let profile = profile.policies(&[&oid::DEVELOPMENT_POLICY.to_string()]);
        profile.self_signed(&stored("development-root", Kind::P256))
    }

    /// A development license that counts for so many days.
    fn development(&self, valid_days: i64, grace_days: u16) -> String {
        self.development_under("Development root", valid_days, grace_days)
    }

    fn development_under(&self, root: &str, valid_days: i64, grace_days: u16) -> String {
        let root = Self::development_root(root);
        let signer = a_signer("Development signer").issue(&Self::passing(), &root);
        let mut document = claims();
        document["expiresAt"] = json!(at() + days(valid_days));
        document["graceDays"] = json!(grace_days);
        self.seal(signed_by(&[&signer], &document))
    }

    /// Directly beneath the root, a signer of this profile.
    fn beneath_root(&self, signer: &Profile) -> String {
        let signer = signer.issue(&Self::passing(), &self.root);
        self.license(&[&signer])
    }

    /// By a signer with this key, under an algorithm of choice.
    fn by_key(&self, key: &Key, algorithm: &str) -> String {
        let signer = a_signer("Signer").issue(key, &self.intermediate);
        let mut header = jws::header(&[&signer, &self.intermediate]);
        header["alg"] = json!(algorithm);
        self.seal(jws::sign(&header.to_string(), claims().to_string().as_bytes(), key))
    }

    /// By a signer whose certificate holds another public key than its own.
    fn with_public_key(&self, public_key: Vec<u8>, algorithm: &str) -> String {
        let profile = Profile { public_key: Some(public_key), ..a_signer("Signer") };
        let signer = profile.issue(&Self::passing(), &self.intermediate);
        let mut header = jws::header(&[&signer, &self.intermediate]);
        header["alg"] = json!(algorithm);
        let jws = jws::sign(&header.to_string(), claims().to_string().as_bytes(), &signer.key);
        self.seal(if algorithm == "PS256" { with_part(&jws, 2, |_| vec![1; 512]) } else { jws })
    }
}

/// A key of the corpus, made if it is not there.
fn stored(name: &str, kind: Kind) -> Key {
    let path = folder().join(format!("keys/{name}.pem"));
    if !path.exists() {
        let warning =
            "A THROW-AWAY TEST KEY. It is published, so it is worthless: trust nothing that it signs.\n";
        write(&path, &format!("{warning}{}", Key::new(kind).pem()));
    }
    Key::from_pem(&fs::read_to_string(path).expect("the key"))
}

fn signed_by(chain: &[&Entity], claims: &Value) -> String {
    jws::sign(&jws::header(chain).to_string(), claims.to_string().as_bytes(), &chain[0].key)
}

/// A license in key format under this header, signed by the pinned key.
fn key_token(header: &Value) -> String {
    jws::sign(&header.to_string(), claims().to_string().as_bytes(), &stored("pinned", Kind::Ed25519))
}

/// The last bit of the middle byte flipped.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// `SubjectPublicKeyInfo` of an RSA key with a modulus of so many bytes that nobody knows the factors of.
fn rsa_public_key(modulus_bytes: usize, exponent: &[u8]) -> Vec<u8> {
    let modulus = vec![0xc5; modulus_bytes];
    let key = der::sequence(&[&der::integer(&modulus), &der::integer(exponent)]);
    let algorithm = der::sequence(&[&der::oid("1.2.840.113549.1.1.1"), &[0x05, 0x00]]);
    der::sequence(&[&algorithm, &der::bits(&key)])
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn low_order(text: &str) -> [u8; 32] {
    let mut point = [0; 32];
    let bytes = hex(text);
    point[..bytes.len()].copy_from_slice(&bytes);
    point
}

/// A little-endian number plus the order of Ed25519's base point.
fn plus_order(number: &[u8]) -> Vec<u8> {
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    let sum = number.iter().zip(order).map(|(a, b)| {
        let digit = u16::from(*a) + u16::from(b) + carry;
        carry = digit >> 8;
        digit.to_le_bytes()[0]
    });
    sum.collect()
}

/// Lists of texts as TOML.
fn json_to_toml(members: &[(&str, Value)]) -> String {
    members.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
}
