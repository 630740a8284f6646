//! Who is involved, and how a file is made.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use chancery_acceptance::root;
use envelope::oid;
use forge::Key;
use forge::Kind;
use forge::certificate::Entity;
use forge::certificate::Profile;
use forge::der;
use forge::jwe;
use forge::jws;
use forge::with_part;
use jiff::SignedDuration;
use jiff::Timestamp;
use openssl::sha::sha256;
use serde_json::Value;
use serde_json::json;

/// When licenses are looked at, unless a file says otherwise.
pub(crate) const AT: &str = "2026-06-01T00:00:00Z";
pub(crate) const ANY_POLICY: &str = "2.5.29.32.0";
pub(crate) const SHOP_POLICY: &str = "1.3.6.1.4.1.99999.1";
pub(crate) const OTHER_POLICY: &str = "1.3.6.1.4.1.99999.2";
/// Suffix of names that no certificate of ours has.
pub(crate) const FOREIGN: &str = "Foreign root";

/// Everybody involved, the same at every run but for signatures.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) recipient: Key,
    pub(crate) root: Entity,
    pub(crate) intermediate: Entity,
    pub(crate) signer: Entity,
    pub(crate) partner: Entity,
    pub(crate) foreign_root: Entity,
}

/// A file in the making.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) at: String,
    pub(crate) format: &'static str,
    pub(crate) recipient: &'static str,
    pub(crate) roots: &'static str,
    pub(crate) lists: Option<&'static str>,
    pub(crate) partners: bool,
}

/// An attack on a sealed license of the usual deployment.
pub(crate) fn case(name: &'static str, what: &'static str) -> Case {
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
    pub(crate) fn at(self, at: &str) -> Self {
        Self { at: at.to_owned(), ..self }
    }

    pub(crate) fn recipient(self, recipient: &'static str) -> Self {
        Self { recipient, ..self }
    }

    pub(crate) fn roots(self, roots: &'static str) -> Self {
        Self { roots, ..self }
    }

    pub(crate) fn lists(self, lists: &'static str) -> Self {
        Self { lists: Some(lists), ..self }
    }

    pub(crate) fn partners(self) -> Self {
        Self { partners: true, ..self }
    }

    pub(crate) fn key_format(self) -> Self {
        Self { format: "key", ..self }
    }

    pub(crate) fn refused(&self, token: &str, stage: &str, error: &str) {
        let verdict = format!("[refused]\nstage = \"{stage}\"\nerror = {}\n", quoted(error));
        self.write(&format!("token = {}\n", quoted(token)), &verdict);
    }

    pub(crate) fn opens(&self, token: &str) {
        self.write(&format!("token = {}\n", quoted(token)), "[opens]\nlicense = \"L-2026-1\"\n");
    }

    /// Refused at this step, in whatever words.
    pub(crate) fn refused_at(&self, token: &str, stage: &str) {
        self.write(&format!("token = {}\n", quoted(token)), &format!("[refused]\nstage = \"{stage}\"\n"));
    }

    /// Many tokens, each refused at this step in words of its own.
    pub(crate) fn derived(&self, from: &str, by: &str, stage: &str) {
        let verdict =
            format!("[derived]\nfrom = \"{from}\"\nby = \"{by}\"\n\n[refused]\nstage = \"{stage}\"\n");
        self.write("", &verdict);
    }

    /// A running license, with these settings of the deployment and what happens then.
    pub(crate) fn runs(&self, token: &str, settings: &str, steps: &[(&str, &[&str], &str, &str)]) {
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

    pub(crate) fn write(&self, token: &str, verdict: &str) {
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
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(crate) fn folder() -> PathBuf {
    root().join("tests/hostile")
}

/// Writes what is not there.
pub(crate) fn write(path: &PathBuf, text: &str) {
    if path.exists() {
        return;
    }
    fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
    fs::write(path, text).expect("write the file");
    println!("{}", path.display());
}

pub(crate) fn at() -> Timestamp {
    AT.parse().expect("a time")
}

pub(crate) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

pub(crate) fn years() -> Range<Timestamp> {
    at() - days(100)..at() + days(3600)
}

/// With a serial number that follows from the name, so that it is the same at every run.
pub(crate) fn steady(mut profile: Profile) -> Profile {
    profile.serial = sha256(profile.name.as_bytes())[..16].to_vec();
    profile.serial[0] = profile.serial[0] & 0x7f | 0x40;
    profile
}

pub(crate) fn authority(name: &str, path_length: Option<u8>) -> Profile {
    steady(Profile::authority(name, years(), path_length)).policies(&[&license_policy()])
}

pub(crate) fn a_root(name: &str, path_length: Option<u8>) -> Profile {
    steady(Profile::authority(name, years(), path_length))
}

pub(crate) fn a_signer(name: &str) -> Profile {
    let purpose = oid::LICENSE_SIGNING_EKU.to_string();
    steady(Profile::signer(name, years())).purposes(&[&purpose]).policies(&[&license_policy()])
}

pub(crate) fn license_policy() -> String {
    oid::LICENSE_SIGNING_POLICY.to_string()
}

/// Claims that fit, valid for a year.
pub(crate) fn claims() -> Value {
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
    pub(crate) fn new() -> Self {
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
    pub(crate) fn passing() -> Key {
        Key::new(Kind::P256)
    }

    pub(crate) fn chain(&self) -> [&Entity; 2] {
        [&self.signer, &self.intermediate]
    }

    pub(crate) fn signed(&self) -> String {
        signed_by(&self.chain(), &claims())
    }

    pub(crate) fn seal(&self, jws: impl AsRef<[u8]>) -> String {
        jwe::seal(jws, &self.recipient, "recipient-p256")
    }

    /// A license by the first of a chain.
    pub(crate) fn license(&self, chain: &[&Entity]) -> String {
        self.seal(signed_by(chain, &claims()))
    }

    /// A license by the usual signer, its claims changed.
    pub(crate) fn claiming(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut document = claims();
        change(&mut document);
        self.seal(signed_by(&self.chain(), &document))
    }

    /// The same, its claims any text.
    pub(crate) fn claiming_text(&self, text: &str) -> String {
        let header = jws::header(&self.chain()).to_string();
        self.seal(jws::sign(&header, text.as_bytes(), &self.signer.key))
    }

    /// A license whose JWS has this header, signed by the usual signer.
    pub(crate) fn under_header(&self, header: &str) -> String {
        self.seal(jws::sign(header, claims().to_string().as_bytes(), &self.signer.key))
    }

    /// Beneath the vendor's intermediate, a signer of this profile.
    pub(crate) fn by(&self, signer: &Profile) -> String {
        let signer = signer.issue(&Self::passing(), &self.intermediate);
        self.license(&[&signer, &self.intermediate])
    }

    /// Beneath the vendor's root, an intermediate of this profile, and a proper signer.
    pub(crate) fn beneath(&self, intermediate: &Profile) -> String {
        let intermediate = intermediate.issue(&Self::passing(), &self.root);
        let signer = a_signer("Signer beneath").issue(&Self::passing(), &intermediate);
        self.license(&[&signer, &intermediate])
    }

    /// A license by a partner's signer, its grant changed.
    pub(crate) fn partner_license(&self, change: impl FnOnce(&mut Value)) -> String {
        let policies = [license_policy(), SHOP_POLICY.to_owned()];
        let signer = a_signer("Partner signer")
            .policies(&[&policies[0], &policies[1]])
            .issue(&Self::passing(), &self.partner);
        let mut document = claims();
        change(&mut document["grant"]);
        self.seal(signed_by(&[&signer, &self.partner], &document))
    }

    /// The root for development licenses, under this name.
    pub(crate) fn development_root(name: &str) -> Entity {
        let profile = steady(Profile::authority(name, years(), Some(0)));
        let profile = profile.policies(&[&oid::DEVELOPMENT_POLICY.to_string()]);
        profile.self_signed(&stored("development-root", Kind::P256))
    }

    /// A development license that counts for so many days.
    pub(crate) fn development(&self, valid_days: i64, grace_days: u16) -> String {
        self.development_under("Development root", valid_days, grace_days)
    }

    pub(crate) fn development_under(&self, root: &str, valid_days: i64, grace_days: u16) -> String {
        let root = Self::development_root(root);
        let signer = a_signer("Development signer").issue(&Self::passing(), &root);
        let mut document = claims();
        document["expiresAt"] = json!(at() + days(valid_days));
        document["graceDays"] = json!(grace_days);
        self.seal(signed_by(&[&signer], &document))
    }

    /// Directly beneath the root, a signer of this profile.
    pub(crate) fn beneath_root(&self, signer: &Profile) -> String {
        let signer = signer.issue(&Self::passing(), &self.root);
        self.license(&[&signer])
    }

    /// By a signer with this key, under an algorithm of choice.
    pub(crate) fn by_key(&self, key: &Key, algorithm: &str) -> String {
        let signer = a_signer("Signer").issue(key, &self.intermediate);
        let mut header = jws::header(&[&signer, &self.intermediate]);
        header["alg"] = json!(algorithm);
        self.seal(jws::sign(&header.to_string(), claims().to_string().as_bytes(), key))
    }

    /// By a signer whose certificate holds another public key than its own.
    pub(crate) fn with_public_key(&self, public_key: Vec<u8>, algorithm: &str) -> String {
        let profile = Profile { public_key: Some(public_key), ..a_signer("Signer") };
        let signer = profile.issue(&Self::passing(), &self.intermediate);
        let mut header = jws::header(&[&signer, &self.intermediate]);
        header["alg"] = json!(algorithm);
        let jws = jws::sign(&header.to_string(), claims().to_string().as_bytes(), &signer.key);
        self.seal(if algorithm == "PS256" { with_part(&jws, 2, |_| vec![1; 512]) } else { jws })
    }
}

/// A key of the corpus, made if it is not there.
pub(crate) fn stored(name: &str, kind: Kind) -> Key {
    let path = folder().join(format!("keys/{name}.pem"));
    if !path.exists() {
        let warning =
            "A THROW-AWAY TEST KEY. It is published, so it is worthless: trust nothing that it signs.\n";
        write(&path, &format!("{warning}{}", Key::new(kind).pem()));
    }
    Key::from_pem(&fs::read_to_string(path).expect("the key"))
}

pub(crate) fn signed_by(chain: &[&Entity], claims: &Value) -> String {
    jws::sign(&jws::header(chain).to_string(), claims.to_string().as_bytes(), &chain[0].key)
}

/// A license in key format under this header, signed by the pinned key.
pub(crate) fn key_token(header: &Value) -> String {
    jws::sign(&header.to_string(), claims().to_string().as_bytes(), &stored("pinned", Kind::Ed25519))
}

/// The last bit of the middle byte flipped.
pub(crate) fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// `SubjectPublicKeyInfo` of an RSA key with a modulus of so many bytes that nobody knows the factors of.
pub(crate) fn rsa_public_key(modulus_bytes: usize, exponent: &[u8]) -> Vec<u8> {
    let modulus = vec![0xc5; modulus_bytes];
    let key = der::sequence(&[&der::integer(&modulus), &der::integer(exponent)]);
    let algorithm = der::sequence(&[&der::oid("1.2.840.113549.1.1.1"), &[0x05, 0x00]]);
    der::sequence(&[&algorithm, &der::bits(&key)])
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

pub(crate) fn low_order(text: &str) -> [u8; 32] {
    let mut point = [0; 32];
    let bytes = hex(text);
    point[..bytes.len()].copy_from_slice(&bytes);
    point
}

/// A little-endian number plus the order of Ed25519's base point.
pub(crate) fn plus_order(number: &[u8]) -> Vec<u8> {
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
pub(crate) fn json_to_toml(members: &[(&str, Value)]) -> String {
    members.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
}
